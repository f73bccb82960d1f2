/* os_memory.h: what the allocator keeps of what was freed. */
#ifndef SL_OS_OS_MEMORY_H
#define SL_OS_OS_MEMORY_H

/* Gives whole pages that nothing uses back to the system, where the allocator knows how; walks all
 * it has, some 0.1 s per GiB: for a start, not for a loop. [blocks] [any] */
void sl_memory_give_back(void);

#endif
