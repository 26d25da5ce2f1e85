%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc Pids, references and ports of this node under the name that it had when a host said hello.
%%
%% A node may get a name while it runs, or lose it: net_kernel:start/2 and stop/0. What is a process
%% of this node in the VM stays one. But what has left the VM under the old name comes back as some
%% other node's, and what leaves it now is nothing that the host has seen before. So while this node is
%% not called as it was, all that goes to the host is put under the old name, and back under the new
%% one what comes from there. Only that much is sent and received in another way; before, and for
%% connections that have been made since, nothing is (porthost_wire looks at the name alone).
%%
%% Where the same name comes again, after another one, the VM tells the two apart by their creation. Then
%% the name says nothing, and the connection ends: see porthost_conn.
%%
%% What a fun refers to is not seen.
-module(porthost_names).

-export([creation/0, to_host/2, from_host/2]).

-include("porthost.hrl").

%% Tags of the external term format.
-define(VERSION, 131).
-define(NEW_PID, 88).
-define(NEW_PORT, 89).
-define(V4_PORT, 120).
-define(NEWER_REFERENCE, 90).

%% @doc Which of the nodes that have had this one's name this is.
-spec creation() -> non_neg_integer().
creation() ->
    Pid = term_to_binary(self()),
    <<Creation:32>> = binary:part(Pid, byte_size(Pid), -4),
    Creation.

%% @doc A term with this node's pids, references and ports as the host knows them.
-spec to_host(#via{}, term()) -> term().
to_host(#via{node = Node, creation = Creation}, Term) ->
    rename(Term, node(), {name(Node), Creation}).

%% @doc A term from the host, with this node's pids, references and ports as they are now.
-spec from_host(#via{}, term()) -> term().
from_host(#via{node = Node}, Term) ->
    rename(Term, Node, {name(node()), creation()}).

rename([Head | Tail], From, To) ->
    [rename(Head, From, To) | rename(Tail, From, To)];
rename(Tuple, From, To) when is_tuple(Tuple) ->
    list_to_tuple(rename(tuple_to_list(Tuple), From, To));
rename(Map, From, To) when is_map(Map) ->
    maps:from_list(rename(maps:to_list(Map), From, To));
rename(Id, From, To) when (is_pid(Id) orelse is_reference(Id) orelse is_port(Id)), node(Id) =:= From ->
    try internal(renamed(external(Id), byte_size(name(From)), To))
    catch error:badarg -> Id % this node cannot have made it
    end;
rename(Term, _, _) ->
    Term.

renamed(<<?NEWER_REFERENCE, Words:16, Rest/binary>>, Size, {Name, Creation}) ->
    <<_:Size/binary, _:32, Numbers/binary>> = Rest,
    <<?NEWER_REFERENCE, Words:16, Name/binary, Creation:32, Numbers/binary>>;
renamed(<<Tag, Rest/binary>>, Size, {Name, Creation}) when Tag =:= ?NEW_PID; Tag =:= ?NEW_PORT; Tag =:= ?V4_PORT ->
    Numbers = binary:part(Rest, Size, byte_size(Rest) - Size - 4),
    <<Tag, Name/binary, Numbers/binary, Creation:32>>.

%% An atom as it stands in a term.
name(Atom) ->
    external(Atom).

external(Term) ->
    <<?VERSION, Rest/binary>> = term_to_binary(Term, [{minor_version, 2}]),
    Rest.

internal(Rest) ->
    binary_to_term(<<?VERSION, Rest/binary>>).
