/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the symbol table with libelf, each time anew: reports are few. */
#include "check/symbol.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void)
{
    elf_version(EV_CURRENT);
}

static bool is_in(const GElf_Sym *s, uint64_t at)
{
    return GELF_ST_TYPE(s->st_info) == STT_FUNC && s->st_shndx != SHN_UNDEF && at >= s->st_value && at - s->st_value < s->st_size;
}

static bool find_in(Elf *elf, Elf_Scn *section, const GElf_Shdr *head, uint64_t at, char *buf, size_t size, uint64_t *offset)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t n = data && head->sh_entsize ? (size_t)(head->sh_size / head->sh_entsize) : 0;
    GElf_Sym s;
    for (size_t i = 0; i < n && gelf_getsym(data, (int)i, &s); i++) {
        const char *name = is_in(&s, at) ? elf_strptr(elf, head->sh_link, s.st_name) : NULL;
        if (!name)
            continue;
        snprintf(buf, size, "%s", name);
        *offset = at - s.st_value;
        return true;
    }
    return false;
}

/* In the sections of this type. */
static bool find(Elf *elf, GElf_Word type, uint64_t at, char *buf, size_t size, uint64_t *offset)
{
    GElf_Shdr head;
    for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));)
        if (gelf_getshdr(section, &head) && head.sh_type == type && find_in(elf, section, &head, at, buf, size, offset))
            return true;
    return false;
}

bool ph_symbol_find(const char *file, uint64_t at, char *buf, size_t size, uint64_t *offset)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    pthread_once(&once, start);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool found = elf && (find(elf, SHT_SYMTAB, at, buf, size, offset) || find(elf, SHT_DYNSYM, at, buf, size, offset));
    elf_end(elf);
    close(fd);
    return found;
}
