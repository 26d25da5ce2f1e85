%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc What goes over a connection to a host: the making of frames, and writing them.
%%
%% Everything here runs in the process that has something to send; nothing is kept. The wire
%% protocol itself is described in PROTOCOL.md.
%%
%% A frame that the host would refuse ends the connection with all its ports, so what a user can
%% make too large or too deep is stopped here: `{error, system_limit}'.
-module(porthost_wire).

-export([hello/3, encode/1, encode/2, decode/1, decode/2, elements/2, frame/2, post/2, request/2]).
-export([write/2, leave/2, write_out/2, whole/2, traffic/0, unwritten/1, taken/2]).
-export([data/1, flat/1, message/2, bad_output/1, reason/2, fits/2]).

-include_lib("kernel/include/logger.hrl").
-include("porthost.hrl").

-export_type([failure/0]).

-type failure() :: {error, term()}      % what the host answered, or system_limit
                 | down.                % the connection is gone

%% A packet of a unix socket's buffer has room for so much, and a little more.
-define(UNIX_PACKET, 32768).
-define(HEADER_SIZE, 4).

%% Positions in the traffic of a connection.
-define(UNWRITTEN, 1).      % bytes that the writer has been given by write/2
-define(LAST_WRITE, 2).     % when somebody wrote himself, monotonic nanoseconds

%% Nobody waits for a reply and then sends again as soon as this.
-define(STREAM_NS, 5000).

-define(MANY_UNWRITTEN, 262144).

%% Room for what a frame puts around a term of the user's.
-define(WRAPPING, 8).

%% Nesting up to which iodata is sent as it is. Deeper data goes as a flat list of binaries.
-define(MAX_NESTING, 100).

%% @doc The first frame.
-spec hello(pid(), binary(), map()) -> erlang:iovec().
hello(Self, Name, More) ->
    encode({hello, 1, More#{self => Self, name => Name}}).

-spec encode(tuple()) -> erlang:iovec().
encode(Term) ->
    erlang:term_to_iovec(Term).

-spec decode(binary()) -> {ok, term()} | error.
decode(Frame) ->
    try {ok, binary_to_term(Frame)}
    catch error:badarg -> error
    end.

%% @doc The same on a connection that has been made, where this node may have had another name then.
-spec encode(#via{}, tuple()) -> erlang:iovec().
encode(#via{node = Node} = Via, Term) ->
    Frame = encode(Term),
    case node() of
        Node -> Frame;
        _ -> encode(porthost_names:to_host(Via, Term))
    end.

%% @doc The other way. In both the name is looked at last: had it changed in between, then nothing is to be done.
-spec decode(#via{}, binary()) -> {ok, term()} | error.
decode(#via{node = Node} = Via, Frame) ->
    case decode(Frame) of
        {ok, Term} when Node =/= node() -> {ok, porthost_names:from_host(Via, Term)};
        Decoded -> Decoded
    end.

%% @doc The elements of a frame, up to the first that this node cannot decode.
-spec elements(#via{}, binary()) -> [term()].
elements(#via{node = Node} = Via, <<131, 104, _Arity, Elements/binary>>) ->
    case each(Elements) of
        Terms when Node =/= node() -> porthost_names:from_host(Via, Terms);
        Terms -> Terms
    end;
elements(_, _) ->
    [].

each(Elements) ->
    try binary_to_term(<<131, Elements/binary>>, [used]) of
        {Term, Used} ->
            Rest = binary_part(Elements, Used - 1, byte_size(Elements) - Used + 1),
            [Term | each(Rest)]
    catch error:badarg -> []
    end.

%% @doc Write a frame; the caller waits while the connection takes no more.
%%
%% What a socket takes whole or not at all is written from here, if it does not come in a stream.
%% All else goes to the writer: a sender may be killed when a part of its frame is out, and nobody
%% could tell where the next one begins; and frames that come faster than they are written, cost
%% less when they are written together. The writer also has what the socket had no room for, and
%% takes turns with those who write themselves, for nobody gets in while a part of a frame of its
%% own is out. Nobody waits for it before there is much that it has not written. Then it answers
%% when the frame is written. If that fails it does not, and goes when the connection does.
%%
%% A process that finds nothing unwritten may write itself: what it gave to the writer is out.
-spec write(#via{}, erlang:iovec()) -> boolean().
write(#via{out = Port}, Frame) when is_port(Port) ->
    command(Port, Frame) =:= ok;
write(#via{traffic = Traffic} = Via, Frame) ->
    Size = iolist_size(Frame),
    Unwritten = atomics:get(Traffic, ?UNWRITTEN),
    case is_free(Via, Size, Unwritten) of
        true -> write_self(Via, Frame, Size) orelse have_written(Via, Frame, Size);
        false when Unwritten + Size =< ?MANY_UNWRITTEN -> give(Via, Frame, Size);
        false -> have_written(Via, Frame, Size)
    end.

%% @doc Write a frame, or leave that to the writer: for those who must not wait for the host. That
%% nobody reads any more is not told.
-spec leave(#via{}, erlang:iovec()) -> ok.
leave(#via{out = Port}, Frame) when is_port(Port) ->
    _ = command(Port, Frame),
    ok;
leave(#via{traffic = Traffic} = Via, Frame) ->
    Size = iolist_size(Frame),
    Written = is_free(Via, Size, atomics:get(Traffic, ?UNWRITTEN)) andalso write_self(Via, Frame, Size),
    Written orelse give(Via, Frame, Size),
    ok.

is_free(#via{whole = Whole, traffic = Traffic}, Size, Unwritten) ->
    Size =< Whole andalso Unwritten =:= 0 andalso not in_stream(Traffic).

give(#via{writer = Writer, traffic = Traffic}, Frame, Size) ->
    atomics:add(Traffic, ?UNWRITTEN, Size),
    Writer ! {frame, Frame, Size},
    true.

write_self(#via{out = Socket}, Frame, Size) ->
    case socket:send(Socket, [<<Size:32>> | Frame], nowait) of
        ok -> true;
        {select, {select_info, _, _} = Info} ->
            _ = socket:cancel(Socket, Info),
            false;
        {select, {_, _}} ->
            _ = socket:shutdown(Socket, read_write),    % a part is out, against all expectation
            false;
        _ ->
            false
    end.

in_stream(Traffic) ->
    Now = erlang:monotonic_time(nanosecond),
    Before = atomics:exchange(Traffic, ?LAST_WRITE, Now),
    Now - Before < ?STREAM_NS.

have_written(#via{writer = Writer, traffic = Traffic}, Frame, Size) ->
    Tag = erlang:monitor(process, Writer, [{alias, reply_demonitor}]),
    atomics:add(Traffic, ?UNWRITTEN, Size),
    Writer ! {frame, Frame, Size, self(), Tag},
    receive
        {Tag, done} -> true;
        {'DOWN', Tag, process, _, _} -> false
    end.

%% @doc What a connection counts for {@link write/2}.
-spec traffic() -> atomics:atomics_ref().
traffic() ->
    Traffic = atomics:new(2, [{signed, true}]),
    atomics:put(Traffic, ?LAST_WRITE, erlang:monotonic_time(nanosecond)),
    Traffic.

%% @doc How many bytes the writer has been given by {@link write/2}, or will be at once.
-spec unwritten(atomics:atomics_ref()) -> integer().
unwritten(Traffic) ->
    atomics:get(Traffic, ?UNWRITTEN).

%% @doc The writer is done with so many bytes that came from {@link write/2}.
-spec taken(atomics:atomics_ref(), integer()) -> ok.
taken(Traffic, Size) ->
    atomics:sub(Traffic, ?UNWRITTEN, Size).

%% @doc Write frames of any size, bit by bit if need be. To a socket only the writer does so.
-spec write_out(port() | socket:socket(), [erlang:iovec()]) -> ok | {error, term()}.
write_out(Port, Frames) when is_port(Port) ->
    write_each(Port, Frames);
write_out(Socket, Frames) ->
    Data = [[<<(iolist_size(Frame)):32>> | Frame] || Frame <- Frames],
    write_all(Socket, erlang:iolist_to_iovec(Data)).

write_each(_, []) ->
    ok;
write_each(Port, [Frame | Frames]) ->
    case command(Port, Frame) of
        ok -> write_each(Port, Frames);
        Error -> Error
    end.

command(Port, Frame) ->
    try port_command(Port, Frame) of
        true -> ok
    catch
        error:badarg -> {error, closed}
    end.

write_all(_, []) ->
    ok;
write_all(Socket, Data) ->
    case socket:sendmsg(Socket, #{iov => Data}) of
        {ok, Rest} -> write_all(Socket, Rest);
        Done -> Done
    end.

%% @doc The size up to which a socket takes a frame whole or not at all, or 0 if there is no such
%% thing: TCP may take a part of anything. A unix socket makes one packet of what is at most half
%% as large as its buffer, and which the kernel finds memory for in one go.
-spec whole(unix | tcp, socket:socket()) -> non_neg_integer().
whole(tcp, _) ->
    0;
whole(unix, Socket) ->
    case socket:getopt(Socket, {socket, sndbuf}) of
        {ok, Size} when Size > 4 * ?UNIX_PACKET -> ?UNIX_PACKET - ?HEADER_SIZE;
        _ -> 0
    end.

%% @doc Send a request that has no reply.
-spec post(#via{}, tuple()) -> ok | failure().
post(Via, Request) ->
    case frame(Via, Request) of
        {error, _} = Error -> Error;
        Frame -> case write(Via, Frame) of true -> ok; false -> down end
    end.

%% @doc The frame of a request of a user's.
-spec frame(#via{}, tuple()) -> erlang:iovec() | {error, system_limit}.
frame(#via{max_frame = Max} = Via, Request) ->
    Frame = encode(Via, Request),
    case iolist_size(Frame) =< Max of
        true -> Frame;
        false -> {error, system_limit}
    end.

%% @doc Send a request, its second element being anything, and wait for the reply.
%%
%% The tag is an alias that ends with the reply, so that a late one vanishes, and a monitor, so
%% that the end of the connection is noticed. The connection process sends the reply to it.
-spec request(#via{}, tuple()) -> {ok, term()} | failure().
request(#via{writer = Life} = Via, Request) ->
    Tag = erlang:monitor(process, Life, [{alias, reply_demonitor}]),
    case post(Via, setelement(2, Request, Tag)) of
        ok ->
            receive
                {Tag, ok, Value} -> {ok, Value};
                {Tag, error, Reason} -> {error, Reason};
                {'DOWN', Tag, process, _, _} -> down
            end;
        Failure ->
            erlang:demonitor(Tag, [flush]),
            Failure
    end.

%% @doc The form in which iodata for a driver's output is sent: one that has the same binaries at
%% the same places, which an outputv callback can see. Raises badarg if it is not iodata.
-spec data(iodata()) -> iodata().
data(Data) when is_binary(Data) ->
    Data;
data([]) ->
    [];
data(Data) when is_list(Data) ->
    _ = iolist_size(Data),
    case shape(Data, ?MAX_NESTING, bytes) of
        bytes -> bytes(iolist_to_binary(Data));
        mixed -> Data;
        deep -> erlang:iolist_to_iovec(Data)
    end;
data(_) ->
    error(badarg).

bytes(<<>>) -> [];
bytes(Bytes) -> Bytes.

%% @doc The same where the driver gets it in one piece.
-spec flat(iodata()) -> binary().
flat(Data) when is_binary(Data) -> Data;
flat(Data) -> iolist_to_binary(Data).

%% Whether iodata consists of nothing but bytes, has binaries in it, or is nested too deep.
shape([H | T], Depth, Shape) when is_integer(H) ->
    shape(T, Depth, Shape);
shape([H | T], Depth, _) when is_binary(H) ->
    shape(T, Depth, mixed);
shape([_ | _], 0, _) ->
    deep;
shape([H | T], Depth, Shape) ->
    case shape(H, Depth - 1, Shape) of
        deep -> deep;
        Shape1 -> shape(T, Depth, Shape1)
    end;
shape([], _, Shape) ->
    Shape;
shape(_Binary, _, _) ->
    mixed.

%% @doc A message to a port in the form in which it is sent. What the host will take for a bad
%% signal anyway is not sent in full.
-spec message(Port :: pid(), term()) -> {command | other, term()}.
message(Port, {Pid, {command, Data}}) when is_pid(Pid) ->
    try {command, {Pid, {command, data(Data)}}}
    catch error:badarg -> bad_output(Port), {other, badsig}
    end;
message(_, {Pid, close} = Message) when is_pid(Pid) ->
    {other, Message};
message(_, {Pid, {connect, New}} = Message) when is_pid(Pid), is_pid(New), node(New) =:= node() ->
    case porthost_registry:lookup(New) of
        #port{} -> {other, badsig};
        _ -> {other, Message}
    end;
message(_, _) ->
    {other, badsig}.

%% @doc What the VM logs of a command that is not iodata, whoever is told of it.
-spec bad_output(pid()) -> ok.
bad_output(Port) ->
    ?LOG_ERROR("Bad value on output port ~p", [Port]).

%% @doc An exit reason in the form in which it is sent.
-spec reason(#via{}, term()) -> term().
reason(Via, Reason) ->
    case fits(Via, Reason) andalso erlang:external_size(Reason) < Via#via.max_frame div 2 of
        true -> Reason;
        false -> {porthost, system_limit}
    end.

%% @doc Whether a term may be part of a request, as far as nesting goes.
-spec fits(#via{}, term()) -> boolean().
fits(#via{max_depth = Max}, Term) ->
    shallow(Term, Max - ?WRAPPING).

shallow(_, 0) -> false;
shallow([H | T], N) -> shallow(H, N - 1) andalso shallow_tail(T, N);
shallow(Tuple, N) when is_tuple(Tuple) -> shallow_all(tuple_to_list(Tuple), N - 1);
shallow(Map, N) when is_map(Map) ->
    shallow_all(maps:keys(Map), N - 1) andalso shallow_all(maps:values(Map), N - 1);
shallow(Fun, N) when is_function(Fun) ->
    case erlang:fun_info(Fun, type) of
        {type, local} -> {env, Env} = erlang:fun_info(Fun, env), shallow_all(Env, N - 1);
        {type, external} -> true
    end;
shallow(_, _) -> true.

shallow_tail([H | T], N) -> shallow(H, N - 1) andalso shallow_tail(T, N);
shallow_tail(Tail, N) -> shallow(Tail, N - 1).

shallow_all(Terms, N) ->
    lists:all(fun(Term) -> shallow(Term, N) end, Terms).
