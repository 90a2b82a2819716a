/* How much memory this process keeps. */
#ifndef STEAD_AGENT_MEMORY_IO_H
#define STEAD_AGENT_MEMORY_IO_H

/* Before any thread starts: one arena of glibc's malloc, large blocks given back when freed. */
void memory_io_begin(void);

/* Now and then: a start, or a burst of commands, must not count for ever. Gives back what was
 * freed, and the libraries' code and constants: what is used again is there again at its first use,
 * from the page cache, or, where that let it go meanwhile, from the disk. */
void memory_io_tidy(void);

#endif
