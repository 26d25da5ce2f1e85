/* SPDX-License-Identifier: Apache-2.0 */
/* Owns how a result is written to the pipe: a line of numbers, then the name and the text. Called by run.c at the one end and farm.c at the other. */
#include "script/result.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "script/memory.h"

void ph_test_write(struct ph_test_writer *out, enum ph_verdict verdict, int64_t ms, const char *name, const char *text)
{
    fprintf(out->f, "%d %" PRId64 " %zu %zu\n%s%s", (int)verdict, ms, strlen(name), strlen(text), name, text);
    fflush(out->f);
}

bool ph_test_read(const char *bytes, size_t len, struct ph_test_result *r, size_t *used)
{
    int verdict;
    int64_t ms;
    size_t name, text;
    const char *newline = len ? memchr(bytes, '\n', len) : NULL;
    if (!newline || sscanf(bytes, "%d %" SCNd64 " %zu %zu", &verdict, &ms, &name, &text) != 4)
        return false;
    size_t head = (size_t)(newline - bytes) + 1;
    if (len - head < name || len - head - name < text)
        return false;
    *r = (struct ph_test_result){.verdict = (enum ph_verdict)verdict, .ms = ms};
    r->name = ph_script_copy((struct ph_text){bytes + head, name});
    r->text = ph_script_copy((struct ph_text){bytes + head + name, text});
    *used = head + name + text;
    return true;
}

void ph_test_result_free(struct ph_test_result *r)
{
    free(r->name);
    free(r->text);
}
