%% SPDX-License-Identifier: Apache-2.0
%% What modules of cases have in common. An observation is a list built from its head: the operands of ++ are not evaluated in
%% order when the left one is a list comprehension.
-export([cases/0]).
-import(parity_case, [open/1, open/2, open/3, load/1, dir/0, do/2, dos/2, control/3, call/3, command/2, bang/2, close/1, r/1, ddll/2,
                      msgs/1, none/0, trace/1, only/2, gone/1, until/1, proc/1, ask/2, start_ask/2, answered/2, answer/1, stop_proc/1,
                      name/2, trap/0]).
