/* risk: a function of one's own, in a plain shared library. It knows nothing of Sluice. */
#include <stdint.h>
#include <string.h>

/* 0 to 100: how much an amount in a currency looks like trouble. */
int32_t risk_of(const char *currency, double amount);

int32_t risk_of(const char *currency, double amount)
{
    const int32_t foreign = strcmp(currency, "EUR") == 0 ? 0 : 30;
    const int32_t large = amount > 10000 ? 60 : amount > 1000 ? 20 : 0;

    return foreign + large;
}
