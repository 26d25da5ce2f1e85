/* SPDX-License-Identifier: Apache-2.0 */
/* The limits' values. Any thread. */
#include "base/limits.h"

#include "base/counters.h"

_Atomic uint64_t ph_limit_values[PH_LIMIT_COUNT] = {
#define VALUE(X, name, key, value, least, most) [PH_LIMIT_##name] = value,
    PH_LIMITS(VALUE, )
#undef VALUE
};

void ph_limit_set(enum ph_limit limit, uint64_t value)
{
    atomic_store_explicit(&ph_limit_values[limit], value, memory_order_relaxed);
}

void ph_limit_met(enum ph_limit limit)
{
    static const enum ph_counter counters[] = {
#define COUNTER(X, name, key, value, least, most) [PH_LIMIT_##name] = PH_COUNT_LIMIT_##name,
        PH_LIMITS(COUNTER, )
#undef COUNTER
    };
    ph_count(counters[limit], 1);
}
