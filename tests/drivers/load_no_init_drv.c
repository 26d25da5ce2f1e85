/* SPDX-License-Identifier: Apache-2.0 */
/* Probe: a shared object that is no driver. */
int load_no_init(void);

int load_no_init(void)
{
    return 0;
}
