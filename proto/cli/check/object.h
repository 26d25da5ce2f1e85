/* SPDX-License-Identifier: Apache-2.0 */
/* A shared object as a file: nothing of it is mapped for execution and none of its code runs. One thread. */
#ifndef PH_CLI_CHECK_OBJECT_H
#define PH_CLI_CHECK_OBJECT_H

#include <gelf.h>
#include <jansson.h>
#include <stdbool.h>

struct ph_object {
    int fd;
    Elf *elf;
    GElf_Ehdr head;
    size_t names; /* the section with the names of sections */
};

/* Opens the file and says in the report what it is. False with a problem in the report if it is no shared object that this host could
 * load; then there is nothing to close. */
bool ph_object_open(struct ph_object *o, const char *file, json_t *report);

/* The same without a word, for libraries. */
bool ph_object_open_quietly(struct ph_object *o, const char *file);
void ph_object_close(struct ph_object *o);

/* The next section of that type behind `scn` (NULL: the first), its header and data; NULL if there is none. */
Elf_Scn *ph_object_section(const struct ph_object *o, Elf_Scn *scn, unsigned type, GElf_Shdr *head, Elf_Data **data);

/* Calls fn for each symbol of the sections of that type (SHT_DYNSYM, SHT_SYMTAB) until it returns false. */
void ph_object_symbols(const struct ph_object *o, unsigned type, bool (*fn)(void *arg, const char *name, const GElf_Sym *sym), void *arg);

/* Puts the names in DT_NEEDED into the list "libraries" of the report. */
void ph_object_libraries(const struct ph_object *o, json_t *report);

#endif
