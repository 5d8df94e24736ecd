/**
 * @file command.h
 * @brief The commands of `acmeward`; one file each.
 */
#ifndef AW_CLIENT_COMMAND_H
#define AW_CLIENT_COMMAND_H

#include "client/options.h"
#include "client/output.h"

/** Gets a certificate and stores it. */
AW_MUST_USE aw_result cmd_certonly(const struct options *options, struct output *out);

/** Shows what this user may ask for. */
AW_MUST_USE aw_result cmd_whoami(const struct options *options, struct output *out);

/** Revokes a certificate. */
AW_MUST_USE aw_result cmd_revoke(const struct options *options, struct output *out);

/** Renews what is due. */
AW_MUST_USE aw_result cmd_renew(const struct options *options, struct output *out);

/** Lists the orders under way, or, with the argument "resume", goes on with them. */
AW_MUST_USE aw_result cmd_orders(const struct options *options, struct output *out);

/** The latter. */
AW_MUST_USE aw_result cmd_orders_resume(const struct options *options, struct output *out);

/** Takes over certbot's renewal settings. */
AW_MUST_USE aw_result cmd_import_certbot(const struct options *options, struct output *out);

/** Removes a certificate's files and settings. */
AW_MUST_USE aw_result cmd_delete(const struct options *options, struct output *out);

/** Joins the standard streams to the signer's socket. */
AW_MUST_USE aw_result cmd_connect(const struct options *options, struct output *out);

/** Looks whether this host can get and renew certificates. */
AW_MUST_USE aw_result cmd_doctor(const struct options *options, struct output *out);
/** Hands out what is stored in another layout. */
AW_MUST_USE aw_result cmd_export(const struct options *options, struct output *out);

/** Lists what is stored. */
AW_MUST_USE aw_result cmd_certificates(const struct options *options, struct output *out);

#endif
