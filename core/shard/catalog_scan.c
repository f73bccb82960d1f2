/* catalog_scan.c: see catalog_scan.h. */
#include "shard/catalog_scan.h"

#include "wal/wal_scan.h"

#include <stdio.h>

static sl_err take_item(void *arg, uint64_t lsn SL_UNUSED, const struct wal_item_view *item,
                        const struct wal_place *place SL_UNUSED)
{
    struct catalog *catalog = arg;
    switch (item->kind) {
    case WAL_ITEM_TOPIC_CREATE:
    case WAL_ITEM_TOPIC_DELETE:
    case WAL_ITEM_TOPIC_CONFIG:
    case WAL_ITEM_TOPIC_GROW:
        return catalog_apply(catalog, item->kind, item->version, item->payload);
    default:
        return SLUICE_OK;
    }
}

static sl_err scan_into(const struct shard_config *config, struct catalog *catalog,
                        uint64_t *ret_last_lsn)
{
    static const struct wal_scan_events events = {.item = take_item};
    const struct wal_file_identity identity = {.cluster = config->cluster, .shard = config->index};
    char directory[WAL_PATH_MAX];
    const struct wal_scan_config scan_config = {.os = config->os,
                                                .directory = directory,
                                                .identity = &identity,
                                                .mutants = config->wal_mutants,
                                                .events = &events,
                                                .events_arg = catalog};
    struct wal_recovery recovery = {0};
    struct wal_scan scan;
    int size = snprintf(directory, sizeof(directory), "%s/shard-%u/wal", config->data_directory,
                        config->index);
    if (size < 0 || (size_t)size >= sizeof(directory)) {
        return SLUICE_E_INVALID;
    }
    sl_err err = wal_scan_run(&scan_config, &recovery, &scan);
    if (err == SLUICE_OK) {
        *ret_last_lsn = scan.last_lsn;
        wal_scan_fini(&scan);
    }
    return err;
}

sl_err catalog_scan(const struct shard_config *config, struct catalog **ret_catalog,
                    uint64_t *ret_last_lsn)
{
    struct catalog_limits limits = {0}; /* the defaults */
    struct catalog *catalog = catalog_new(&limits, config->settings, NULL, NULL);
    if (catalog == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = scan_into(config, catalog, ret_last_lsn);
    if (err != SLUICE_OK) {
        catalog_free(catalog);
        return err;
    }
    *ret_catalog = catalog;
    return SLUICE_OK;
}
