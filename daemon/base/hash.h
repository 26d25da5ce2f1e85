/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes for tables whose keys others choose: SipHash-1-3 under a secret of this process. It is a pseudorandom function: who does not know the secret cannot tell hashes from random
 * numbers, so nobody can choose keys that lie together in a table, not even by trying and measuring how long it takes. Any thread. */
#ifndef PH_HASH_H
#define PH_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t ph_hash_word(uint64_t word);
uint64_t ph_hash_bytes(const void *p, size_t len); /* another function than ph_hash_word, also of 8 bytes */

#endif
