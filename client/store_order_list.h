/**
 * @file store_order_list.h
 * @brief Which orders are under way, without their locks: what is read may be gone a moment later.
 */
#ifndef AW_CLIENT_STORE_ORDER_LIST_H
#define AW_CLIENT_STORE_ORDER_LIST_H

#include "client/store_order.h"

/** Called for each certificate that has one, in order of names. */
typedef aw_result (*store_order_visit)(const char *name, void *context);

/** Visits them; none where there is no store. */
AW_MUST_USE aw_result store_order_list(const char *root, store_order_visit visit, void *context);

/** store_order_read without the certificate's lock. */
AW_MUST_USE aw_result store_order_look(const char *root, const char *name, struct store_order *out);

#endif
