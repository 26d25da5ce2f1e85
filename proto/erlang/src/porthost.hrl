%% SPDX-License-Identifier: Apache-2.0
%% Records that the modules of the application share. Nobody outside sees them.

%% The public table of all hosts and hosted ports of this node; its owner is porthost_registry.
-define(TABLE, porthost).

%% First element of every message between the processes of the application.
-define(MSG, '$porthost').

%% Positions in the counters of a host.
-define(LAST_ID, 1).
-define(GRANTED, 2).

%% A connection as whoever writes to it sees it.
-record(via, {conn :: pid(),                       % the connection process: whose death ends a call
              writer :: pid(),                      % writes what the sender cannot
              out :: port() | socket:socket(),      % what carries the frames there
              whole = 0 :: non_neg_integer(),       % see porthost_wire:whole/2
              max_frame :: pos_integer(),
              max_depth :: pos_integer()}).

%% A hosted port, keyed by its process. The row is there from before `open` until `closed`. From
%% `exit` on its state is closing: the process has ended, and only control, call and info are left.
-record(port, {pid :: pid(),
               via :: #via{},
               id :: non_neg_integer(),
               busy = false :: boolean(),           % written by the connection process alone
               soft_busy = false :: boolean(),
               state = open :: open | closing,
               unwritten :: atomics:atomics_ref()}).   % see porthost_port

%% A host, keyed by its connection process.
-record(host, {conn :: pid(),
               via :: #via{},
               counters :: atomics:atomics_ref(),
               slots :: ets:table(),                % of #slot{}: every port id in use
               writer :: pid()}).

%% A port id in use, until the host says `closed'.
-record(slot, {id :: non_neg_integer(),
               pid :: pid(),
               unwritten :: atomics:atomics_ref(),
               state :: open | granted}).
