%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc Connects to a host by TCP: its name may stand for addresses of IPv4, of IPv6 or of both.
%%
%% They are tried one after the other, those of IPv4 first. Each has an equal share of the time that
%% is left, so that one where nobody answers leaves some for the next.
-module(porthost_tcp).

-export([connect/4]).

%% @doc Of several errors the first is told.
-spec connect(inet:socket_address() | inet:hostname(), inet:port_number(), [gen_tcp:connect_option()],
              timeout()) -> {ok, gen_tcp:socket()} | {error, term()}.
connect(Host, Number, Options, Timeout) ->
    Deadline = deadline(Timeout),
    case addresses(Host) of
        {ok, Addresses} -> connect_one(Addresses, Number, Options, Deadline);
        {error, Why} -> {error, Why}
    end.

connect_one([Address | Others], Number, Options, Deadline) ->
    case gen_tcp:connect(Address, Number, Options, share(Deadline, 1 + length(Others))) of
        {error, Why} when Others =/= [] ->
            case connect_one(Others, Number, Options, Deadline) of
                {ok, Socket} -> {ok, Socket};
                {error, _} -> {error, Why}
            end;
        Result ->
            Result
    end.

addresses(Host) when is_tuple(Host) ->
    {ok, [Host]};
addresses(Host) ->
    case {inet:getaddrs(Host, inet), inet:getaddrs(Host, inet6)} of
        {{ok, V4}, {ok, V6}} -> {ok, V4 ++ V6};
        {{ok, V4}, {error, _}} -> {ok, V4};
        {{error, _}, Other} -> Other
    end.

deadline(infinity) -> infinity;
deadline(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

share(infinity, _) -> infinity;
share(Deadline, Left) -> max(0, Deadline - erlang:monotonic_time(millisecond)) div Left.
