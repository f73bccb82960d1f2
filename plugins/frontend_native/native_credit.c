/* native_credit.c: see native_credit.h. */
#include "native_credit.h"

static uint64_t add(uint64_t have, uint64_t more)
{
    return more > NATIVE_CREDIT_MAX - have ? NATIVE_CREDIT_MAX : have + more;
}

void native_credit_add(struct native_credit *credit, uint64_t records, uint64_t bytes)
{
    credit->records = add(credit->records, records);
    credit->bytes = add(credit->bytes, bytes);
}

bool native_credit_take(struct native_credit *credit, uint64_t size)
{
    if (credit->records == 0 || credit->bytes < size) {
        return false;
    }
    credit->records--;
    credit->bytes -= size;
    return true;
}
