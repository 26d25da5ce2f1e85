%% SPDX-License-Identifier: Apache-2.0
%% Records that the modules of the application share. Nobody outside sees them.

%% The public table of all hosts and hosted ports of this node; its owner is porthost_registry.
-define(TABLE, porthost).

%% First element of every message between the processes of the application.
-define(MSG, '$porthost').

%% Positions in the counters of a host.
-define(LAST_ID, 1).
-define(GRANTED, 2).

%% '_' stands in the types of what is matched in a table.

%% A connection as whoever writes to it sees it.
-record(via, {conn :: pid() | '_',                 % the connection process
              writer :: pid() | '_',                % writes what the sender cannot; its death ends a call
              out :: port() | socket:socket() | '_', % what carries the frames there
              whole = 0 :: non_neg_integer() | '_', % see porthost_wire:whole/2
              traffic :: atomics:atomics_ref() | '_', % see porthost_wire:write/2
              node = node() :: node() | '_',        % these two: see porthost_names
              creation :: non_neg_integer() | undefined | '_',
              max_frame :: pos_integer() | '_',
              max_depth :: pos_integer() | '_'}).

%% A hosted port, keyed by its process. The row is there from before `open` until `closed`. From
%% `exit` on its state is closing: the process has ended, and only control, call and info are left.
-record(port, {pid :: pid() | '_',
               via :: #via{},
               id :: non_neg_integer() | '_',
               busy = false :: boolean() | '_',     % written by the connection process alone
               soft_busy = false :: boolean() | '_',
               state = open :: open | closing | '_',
               unwritten :: atomics:atomics_ref() | '_'}).   % see porthost_port

%% A host, keyed by its connection process. All but via is undefined until the host has said hello,
%% and the row is not in the table before.
-record(host, {conn :: pid() | undefined | '_',
               via :: #via{} | '_',
               counters :: atomics:atomics_ref() | undefined | '_',
               slots :: ets:table() | undefined | '_'}).    % of #slot{}: every port id in use

%% A port id in use, until the host says `closed'.
-record(slot, {id :: non_neg_integer() | '_',
               pid :: pid() | '_',
               unwritten :: atomics:atomics_ref() | '_',
               state :: open | granted}).
