/*
 * What a gate sends for a call, as a hostile one would. What is taken for a call is written as the
 * very same octets again: there is one way to say it.
 */
#include "signer/channel.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {.message = NULL};
    AW_CLEANUP(channel_message_free) struct channel_message again = {.data = NULL};
    char *text = fuzz_text(data, size);
    struct channel_message message = {.kind = CHANNEL_CALL, .data = (uint8_t *)text, .size = size};

    aw_result r = channel_decode(&message, &call);
    if (aw_ok(r)) {
        FUZZ_CHECK(cJSON_IsObject(call.parameters) && aw_varlink_name_valid(call.method));
        FUZZ_CHECK(aw_ok(channel_encode(&call, &again)));
        FUZZ_CHECK(again.size == size && memcmp(again.data, data, size) == 0);
        fuzz_accept();
    } else {
        FUZZ_CHECK(r.code == AW_CODE_MISMATCH);
        FUZZ_CHECK(call.message == NULL);
    }
    free(text);
    return 0;
}
