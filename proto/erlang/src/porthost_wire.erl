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

-export([hello/3, encode/1, decode/1, write/2, post/2, request/2]).
-export([data/1, flat/1, message/1, reason/2, fits/2]).

-include("porthost.hrl").

-export_type([failure/0]).

-type failure() :: {error, term()}      % what the host answered, or system_limit
                 | down.                % the connection is gone

%% Room for what a frame puts around a term of the user's.
-define(WRAPPING, 8).

%% Nesting up to which iodata is sent as it is. Deeper data goes as a flat list of binaries.
-define(MAX_NESTING, 100).

%% @doc The first frame.
-spec hello(pid(), binary(), map()) -> iodata().
hello(Self, Name, More) ->
    encode({hello, 1, More#{self => Self, name => Name}}).

-spec encode(tuple()) -> [binary()].
encode(Term) ->
    erlang:term_to_iovec(Term).

-spec decode(binary()) -> {ok, term()} | error.
decode(Frame) ->
    try {ok, binary_to_term(Frame)}
    catch error:badarg -> error
    end.

%% @doc Write a frame; the caller waits while the connection takes no more.
-spec write(#via{}, iodata()) -> boolean().
write(#via{port = Port}, Frame) ->
    try port_command(Port, Frame)
    catch error:badarg -> false
    end.

%% @doc Send a request that has no reply.
-spec post(#via{}, tuple()) -> ok | failure().
post(#via{max_frame = Max} = Via, Request) ->
    Frame = encode(Request),
    case iolist_size(Frame) =< Max of
        true -> case write(Via, Frame) of true -> ok; false -> down end;
        false -> {error, system_limit}
    end.

%% @doc Send a request, its second element being anything, and wait for the reply.
%%
%% The tag is an alias that ends with the reply, so that a late one vanishes, and a monitor, so
%% that the end of the connection is noticed. The connection process sends the reply to it.
-spec request(#via{}, tuple()) -> {ok, term()} | failure().
request(#via{conn = Conn} = Via, Request) ->
    Tag = erlang:monitor(process, Conn, [{alias, reply_demonitor}]),
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
-spec message(term()) -> {command | other, term()}.
message({Pid, {command, Data}}) when is_pid(Pid) ->
    try {command, {Pid, {command, data(Data)}}}
    catch error:badarg -> {other, badsig}
    end;
message({Pid, close} = Message) when is_pid(Pid) ->
    {other, Message};
message({Pid, {connect, New}} = Message) when is_pid(Pid), is_pid(New) ->
    {other, Message};
message(_) ->
    {other, badsig}.

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
