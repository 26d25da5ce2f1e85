/* SPDX-License-Identifier: Apache-2.0 */
/* Has base/flood write its summaries in time: an alarm of the first reactor for each kind. Called once, when the reactors have started. */
#ifndef PH_FLOOD_ALARM_H
#define PH_FLOOD_ALARM_H

void ph_flood_alarms_init(void);

#endif
