/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the search for an entry. Pointers in a file are where its relocations point, so an entry is recognised by them whatever machine it
 * was compiled for: no instruction is looked at. Called by check.c. */
#include "check/entry_scan.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

#define SMALLEST offsetof(ErlDrvEntry, emergency_close) /* an entry of before 3.2 */

struct pointer {
    uint64_t at, to; /* addresses; to: 1 if it is a symbol of another file */
};

struct image {
    const struct ph_object *o;
    struct pointer *pointers; /* sorted by at */
    size_t n;
};

static int by_place(const void *a, const void *b)
{
    uint64_t x = ((const struct pointer *)a)->at, y = ((const struct pointer *)b)->at;
    return (x > y) - (x < y);
}

/* What a relocation makes of the word: an address in this file, 1 for one in another, 0 if it is of a kind that makes no pointer. */
static uint64_t target(const struct ph_object *o, const GElf_Rela *rela, Elf_Data *symbols)
{
    bool arm = o->head.e_machine == EM_AARCH64;
    unsigned type = (unsigned)GELF_R_TYPE(rela->r_info);
    GElf_Sym sym;
    if (type == (arm ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE))
        return (uint64_t)rela->r_addend;
    if (type != (arm ? R_AARCH64_ABS64 : R_X86_64_64) || !gelf_getsym(symbols, (int)GELF_R_SYM(rela->r_info), &sym))
        return 0;
    return sym.st_shndx == SHN_UNDEF ? 1 : sym.st_value + (uint64_t)rela->r_addend;
}

static bool read_relocations(struct image *m, Elf_Data *data, Elf_Data *symbols)
{
    GElf_Rela rela;
    for (int i = 0; gelf_getrela(data, i, &rela); i++) {
        uint64_t to = target(m->o, &rela, symbols);
        if (!to)
            continue;
        if (m->n % 1024 == 0) {
            struct pointer *more = realloc(m->pointers, (m->n + 1024) * sizeof *more);
            if (!more)
                return false;
            m->pointers = more;
        }
        m->pointers[m->n++] = (struct pointer){rela.r_offset, to};
    }
    return true;
}

static bool read_pointers(struct image *m)
{
    GElf_Shdr head, symbol_head;
    Elf_Data *data, *symbols;
    if (!ph_object_section(m->o, NULL, SHT_DYNSYM, &symbol_head, &symbols))
        return false;
    for (Elf_Scn *scn = NULL; (scn = ph_object_section(m->o, scn, SHT_RELA, &head, &data));)
        if ((head.sh_flags & SHF_ALLOC) && !read_relocations(m, data, symbols))
            return false;
    if (m->n)
        qsort(m->pointers, m->n, sizeof *m->pointers, by_place);
    return true;
}

static uint64_t pointer_at(const struct image *m, uint64_t at)
{
    struct pointer key = {.at = at};
    const struct pointer *p = m->n ? bsearch(&key, m->pointers, m->n, sizeof key, by_place) : NULL;
    return p ? p->to : 0;
}

/* The section with initialised bytes that the address is in. */
static Elf_Data *section_at(const struct image *m, uint64_t at, GElf_Shdr *head)
{
    Elf_Data *data;
    for (Elf_Scn *scn = NULL; (scn = ph_object_section(m->o, scn, SHT_PROGBITS, head, &data));)
        if ((head->sh_flags & SHF_ALLOC) && at >= head->sh_addr && at - head->sh_addr < data->d_size)
            return data;
    return NULL;
}

/* The text at the address, or NULL if there is none that ends. */
static const char *text_at(const struct image *m, uint64_t at)
{
    GElf_Shdr head;
    Elf_Data *data = at > 1 ? section_at(m, at, &head) : NULL;
    if (!data)
        return NULL;
    const char *text = (const char *)data->d_buf + (at - head.sh_addr);
    return *text && memchr(text, 0, data->d_size - (at - head.sh_addr)) ? text : NULL;
}

static bool is_code(const struct image *m, uint64_t at)
{
    GElf_Shdr head;
    return at == 1 || (section_at(m, at, &head) && (head.sh_flags & SHF_EXECINSTR));
}

/* Sets the callback's field to something if there is one; false if what is there is no function. */
static bool take_callback(const struct image *m, uint64_t at, size_t offset, ErlDrvEntry *e)
{
    uint64_t to = pointer_at(m, at + offset);
    void *there = to ? (void *)(uintptr_t)1 : NULL;
    memcpy((char *)e + offset, &there, sizeof there);
    return to == 0 || is_code(m, to);
}

static bool take_callbacks(const struct image *m, uint64_t at, size_t size, ErlDrvEntry *e)
{
#define X(field)                                                                                                             \
    if (offsetof(ErlDrvEntry, field) < size && !take_callback(m, at, offsetof(ErlDrvEntry, field), e)) \
        return false;
    PH_CALLBACKS(X)
#undef X
    return true;
}

/* Whether there is an entry at the address, of which `size` bytes are in the section. */
static bool take_entry(const struct image *m, uint64_t at, const char *bytes, size_t size, const char *expected, ErlDrvEntry *e, const char **name)
{
    *name = text_at(m, pointer_at(m, at + offsetof(ErlDrvEntry, driver_name)));
    if (!*name)
        return false;
    memset(e, 0, sizeof *e);
    memcpy(&e->extended_marker, bytes + offsetof(ErlDrvEntry, extended_marker), offsetof(ErlDrvEntry, handle2) - offsetof(ErlDrvEntry, extended_marker));
    if (e->extended_marker != (int)ERL_DRV_EXTENDED_MARKER && strcmp(*name, expected) != 0)
        return false;
    return take_callbacks(m, at, size, e);
}

static unsigned scan_section(const struct image *m, const GElf_Shdr *head, const Elf_Data *data, const char *expected, ErlDrvEntry *e, const char **name)
{
    unsigned found = 0;
    for (size_t at = 0; at + SMALLEST <= data->d_size; at += sizeof(void *)) {
        ErlDrvEntry here;
        const char *its_name;
        size_t size = data->d_size - at < sizeof here ? SMALLEST : sizeof here;
        if (!take_entry(m, head->sh_addr + at, (const char *)data->d_buf + at, size, expected, &here, &its_name))
            continue;
        *e = here;
        *name = its_name;
        found++;
    }
    return found;
}

unsigned ph_entry_scan(const struct ph_object *o, const char *expected_name, ErlDrvEntry *e, char *name, size_t cap)
{
    struct image m = {.o = o};
    GElf_Shdr head;
    Elf_Data *data;
    const char *its_name = NULL;
    unsigned found = 0;
    if (read_pointers(&m))
        for (Elf_Scn *scn = NULL; (scn = ph_object_section(o, scn, SHT_PROGBITS, &head, &data));)
            if ((head.sh_flags & SHF_WRITE) && (head.sh_flags & SHF_ALLOC))
                found += scan_section(&m, &head, data, expected_name, e, &its_name);
    if (found == 1)
        snprintf(name, cap, "%s", its_name);
    free(m.pointers);
    return found;
}
