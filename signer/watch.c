#include "signer/watch.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/io.h"
#include "common/log.h"
#include "signer/core.h"

/* Two clocks change their second at different moments: at the edge of what a correction may be, it
 * is off and is not within each second. */
enum { CLOCK_AGREED_MS = 60 * 1000 };

static aw_result
alarm_of(struct core *core, const char *rule, const char *message)
{
    struct audit_entry entry = {.kind = AUDIT_ALARM, .rule = rule, .message = message};

    aw_log(AW_LOG_ERROR, "%s: %s", rule, message);
    return core_record(core, &entry);
}

/* Nothing is done about it here: which of the two is right, only a person knows. */
static aw_result
look_at_clock(struct core *core)
{
    char message[320];
    int64_t ahead = 0;

    core_time(core, &ahead);
    bool off = ahead != 0;
    if (off)
        core->watch.clock_off_ms = aw_now_ms();
    if (off == core->watch.clock_off)
        return AW_OK;
    if (!off && aw_now_ms() - core->watch.clock_off_ms < CLOCK_AGREED_MS)
        return AW_OK;
    core->watch.clock_off = off;
    if (!off) {
        aw_log(AW_LOG_NOTICE, "clock.step: the clock and the time of the records agree again");
        return AW_OK;
    }
    snprintf(message, sizeof(message),
        "the clock is %" PRId64
        " seconds %s the time of the records and quotas, which goes on with "
        "the time that really passes: mend the clock if it is wrong; if it is right and ahead, "
        "restart the signer to take it over",
        ahead > 0 ? ahead : -ahead, ahead > 0 ? "ahead of" : "behind");
    return alarm_of(core, "clock.step", message);
}

/* Told again only after there was twice the reserve. */
static aw_result
look_at_room(struct core *core)
{
    char message[320];
    struct audit_room room;

    audit_log_room(core->audit, &room);
    if (core->watch.room_low) {
        core->watch.room_low = room.free <= 2 * room.reserve;
        return AW_OK;
    }
    if (room.free > room.reserve)
        return AW_OK;
    core->watch.room_low = true;
    snprintf(message, sizeof(message),
        "%" PRId64 " octets are left on the file system of the audit log, all of the reserve of "
        "%" PRId64
        ": refusals are no more recorded but counted; when it is full nothing is signed: "
        "make room",
        room.free > 0 ? room.free : 0, room.reserve);
    return alarm_of(core, "audit.space", message);
}

aw_result
watch_look(struct core *core)
{
    AW_TRY(look_at_clock(core));
    return look_at_room(core);
}
