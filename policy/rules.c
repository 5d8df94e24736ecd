/* The words of a policy: tags of rules, names of key types and operations. */
#include "policy/policy.h"

static const struct {
    const char *tag;
    const char *meaning;
} rules[POLICY_RULE_COUNT] = {
#define RULE_ROW(name, tag, meaning) {tag, meaning},
    POLICY_RULES(RULE_ROW)
#undef RULE_ROW
};

static const char *const keys[POLICY_KEY_COUNT] = {
#define KEY_ROW(name, text) text,
    POLICY_KEYS(KEY_ROW)
#undef KEY_ROW
};

static const char *const operations[] = {
    [POLICY_ORDER] = "order",
    [POLICY_REVOKE] = "revoke",
};

const char *
policy_rule_tag(enum policy_rule rule)
{
    return rules[rule].tag;
}

const char *
policy_rule_meaning(enum policy_rule rule)
{
    return rules[rule].meaning;
}

const char *
policy_key_name(enum policy_key key)
{
    return keys[key];
}

const char *
policy_operation_name(enum policy_operation operation)
{
    return operations[operation];
}
