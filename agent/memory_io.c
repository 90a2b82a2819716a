/* glibc's malloc keeps an arena per thread and librados has many threads; the libraries' pages that
 * only a start touches would stay mapped for good. */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "agent/memory_io.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_BYTES (128 * 1024)

void memory_io_begin(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* fixed: glibc would raise it with each free */
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}

/* Segments that the loader never writes to are only the file's: nothing is lost with their pages.
 * What it relocates lies in those that are writable to begin with. */
static int give_back(struct dl_phdr_info *object, size_t size, void *context)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)size;
    (void)context;
    for (uint16_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0) {
            const uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
            const uintptr_t end = object->dlpi_addr + segment->p_vaddr + segment->p_filesz;
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
        }
    }
    return 0;
}

void memory_io_tidy(void)
{
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(give_back, NULL);
}
