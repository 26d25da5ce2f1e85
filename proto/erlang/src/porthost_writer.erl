%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc The writer of a connection: a process that writes what must not make its sender wait, and
%% what its sender does not write (see porthost_wire:write/2).
%%
%% What has come when it is ready to write goes in one piece. Of those who wait for it the ones that
%% have died do so in vain. It belongs to the connection process, which ends it when all ports have
%% been told of the end: who waits for a reply, or to have written, watches it.
-module(porthost_writer).

-export([start_link/2, flush/1, stop/1]).
-export([init/3]).

-define(LAST_WORDS_MS, 500).
-define(JOINED_BYTES, 65536).
-define(LOST_MS, 5000).

%% @doc The writer of the calling process.
-spec start_link(port() | socket:socket(), atomics:atomics_ref()) -> pid().
start_link(Out, Traffic) ->
    proc_lib:spawn_link(?MODULE, init, [self(), Out, Traffic]).

%% @doc Wait until what it has been given is written, but not for long.
-spec flush(pid()) -> ok.
flush(Writer) ->
    Tag = erlang:monitor(process, Writer, [{alias, reply_demonitor}]),
    Writer ! {flush, Tag},
    receive
        {Tag, done} -> ok;
        {'DOWN', Tag, process, _, _} -> ok
    after ?LAST_WORDS_MS ->
        demonitor(Tag, [flush]),
        ok
    end.

%% @doc End it. This sets those free who wait for it.
-spec stop(pid()) -> true.
stop(Writer) ->
    unlink(Writer),
    exit(Writer, kill).

-spec init(pid(), port() | socket:socket(), atomics:atomics_ref()) -> no_return().
init(Conn, Out, Traffic) ->
    Unwritten = porthost_wire:unwritten(Traffic),
    receive
        Item ->
            {Frames, Items} = gather(Item, ?JOINED_BYTES, [], []),
            case porthost_wire:write_out(Out, Frames) of
                ok ->
                    lists:foreach(fun(Done) -> written(Done, Traffic) end, Items);
                {error, Why} ->
                    Conn ! {unwritable, self(), write_error(Why)},
                    [Tag ! {Tag, done} || {flush, Tag} <- Items],
                    written_in_vain()
            end
    after patience(Unwritten) ->
        %% Whoever counted that was killed before it was sent (or has not come to that for so long).
        porthost_wire:taken(Traffic, Unwritten)
    end,
    init(Conn, Out, Traffic).

%% Nobody is told anything any more, until all learn of the end.
-spec written_in_vain() -> no_return().
written_in_vain() ->
    receive
        {flush, Tag} -> Tag ! {Tag, done};
        _ -> ok
    end,
    written_in_vain().

patience(0) -> infinity;
patience(_) -> ?LOST_MS.

%% The frames to be written next and the items that they come from, in their order.
gather(Item, Room, Frames, Items) ->
    {Left, Frames1} = case wanted(Item) of
                          true -> {Room - iolist_size(element(2, Item)), [element(2, Item) | Frames]};
                          false -> {Room, Frames}
                      end,
    Items1 = [Item | Items],
    receive
        Next when Left > 0 -> gather(Next, Left, Frames1, Items1)
    after 0 ->
        {lists:reverse(Frames1), lists:reverse(Items1)}
    end.

wanted({frame, _, _, Sender, _}) -> is_process_alive(Sender);
wanted({flush, _}) -> false;
wanted(_) -> true.

written({frame, _}, _) ->
    ok;
written({frame, _, Size}, Traffic) ->
    porthost_wire:taken(Traffic, Size);
written({frame, _, Size, _Sender, Tag}, Traffic) ->
    porthost_wire:taken(Traffic, Size),
    Tag ! {Tag, done};
written({message, _, Unwritten}, _) ->
    atomics:sub(Unwritten, 1, 1);
written({flush, Tag}, _) ->
    Tag ! {Tag, done}.

write_error({Why, _Rest}) -> Why;
write_error(Why) -> Why.
