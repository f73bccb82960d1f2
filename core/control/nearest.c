/* nearest.c: optimal string alignment distance with three rolling rows. */
#include "control/nearest.h"

#include <string.h>

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t least = SL_MIN(a, b);
    return SL_MIN(least, c);
}

uint32_t nearest_distance(const char *a, const char *b)
{
    uint32_t rows[3][NEAREST_TEXT_MAX + 1];
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > NEAREST_TEXT_MAX || b_size > NEAREST_TEXT_MAX) {
        return UINT32_MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = (uint32_t)j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        uint32_t *row = rows[i % 3];
        const uint32_t *above = rows[(i + 2) % 3];
        const uint32_t *above2 = rows[(i + 1) % 3];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= b_size; j++) {
            uint32_t differs = a[i - 1] != b[j - 1];
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + differs);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = SL_MIN(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
    uint32_t distance = nearest_distance(nearest->word, candidate);
    size_t far = strlen(nearest->word) / 3 + 1;
    if (distance > far || distance > strlen(candidate) / 2 + 1) {
        return;
    }
    if (nearest->best == NULL || distance < nearest->best_distance) {
        nearest->best = candidate;
        nearest->best_distance = distance;
    }
}
