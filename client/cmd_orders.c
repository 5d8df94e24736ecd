/* acmeward orders: what is under way; orders resume (in cmd_renew.c) goes on with it. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/certonly.h"
#include "client/command.h"
#include "client/store_order_list.h"
#include "common/io.h"

/* Carried through the list. */
struct listing {
    struct output *out;
    const char *root;
    const char *wanted; /* NULL: all */
    struct aw_json_writer writer;
    size_t count;
};

static void
write_order(struct aw_json_writer *w, const char *name, const struct store_order *order)
{
    aw_json_begin_object(w);
    aw_json_pair(w, "name", name);
    aw_json_pair(w, "application", order->application);
    aw_json_pair(w, "url", order->url);
    aw_json_pair_integer(w, "opened", order->opened);
    aw_json_name(w, "names");
    aw_json_begin_array(w);
    for (size_t i = 0; i < order->name_count; i++)
        aw_json_write_string(w, order->names[i].text);
    aw_json_end_array(w);
    aw_json_pair(w, "fault", order->url == NULL ? aw_error_last()->message : NULL);
    aw_json_end_object(w);
}

static void
tell_order(struct output *out, const char *name, const struct store_order *order)
{
    AW_CLEANUP(aw_free) char *url = output_safe(order->url);
    char opened[32];

    aw_time_text(order->opened, opened);
    output_line(out, "%s", name);
    output_line(out, "  names       %s%s", order->names[0].text,
        order->name_count > 1 ? " and others" : "");
    output_line(out, "  application %s", order->application);
    output_line(out, "  opened      %s%s", opened,
        (int64_t)time(NULL) > order->opened + STORE_ORDER_SECONDS ? ", too old to go on with" : "");
    output_line(out, "  order       %s", url);
}

static aw_result
visit(const char *name, void *context)
{
    AW_CLEANUP(store_order_free) struct store_order order = {0};
    struct listing *listing = context;

    if (listing->wanted != NULL && strcmp(listing->wanted, name) != 0)
        return AW_OK;
    aw_result r = store_order_look(listing->root, name, &order);
    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK; /* it came to its end meanwhile */
    if (!aw_ok(r) && r.code != AW_CODE_CORRUPT)
        return r;
    listing->count++;
    write_order(&listing->writer, name, &order);
    if (aw_ok(r))
        tell_order(listing->out, name, &order);
    else
        output_warning(listing->out, "%s: %s", name, aw_error_last()->message);
    return AW_OK;
}

static aw_result
list(struct listing *listing)
{
    struct aw_json_writer *w = &listing->writer;

    aw_json_begin_object(w);
    aw_json_name(w, "orders");
    aw_json_begin_array(w);
    AW_TRY(store_order_list(listing->root, visit, listing));
    aw_json_end_array(w);
    aw_json_end_object(w);
    if (listing->count == 0)
        output_line(listing->out, "no order is under way");
    return output_json(listing->out, w);
}

aw_result
cmd_orders(const struct options *options, struct output *out)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;
    struct listing listing = {.out = out, .wanted = options->cert_name};

    if (options->argument != NULL && strcmp(options->argument, "resume") == 0)
        return cmd_orders_resume(options, out);
    if (options->argument != NULL)
        return aw_fail(AW_CODE_USAGE, "orders: found \"%.40s\", expected resume or nothing",
            options->argument);
    AW_TRY(certonly_config(options, out, &config));
    listing.root = config->certificates;
    aw_result r = list(&listing);
    aw_json_writer_free(&listing.writer);
    return r;
}
