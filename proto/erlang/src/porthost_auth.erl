%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc The cookie: where it comes from, and how this end and the host prove to each other that
%% they know it (PROTOCOL.md, section 3). Called by the connection process while it connects.
-module(porthost_auth).

-export([is_option/1, start/1, hello/1, answer/2, is_proven/2]).

-include_lib("kernel/include/file.hrl").

-export_type([auth/0, reason/0]).

-type auth() :: none                                        % no cookie: nothing is to be proven
              | {Cookie :: binary(), Ours :: binary()}      % the nonce of our hello
              | {Cookie :: binary(), Ours :: binary(), Theirs :: binary()}.     % answered
-type reason() :: file:posix() | badarg | no_crypto | not_regular | not_private | not_owner
                | bad_cookie.

-define(BYTES, 32).     % of nonces and proofs
-define(IS_BYTES(B), (is_binary(B) andalso byte_size(B) =:= ?BYTES)).

%% @doc Whether this may be the option.
-spec is_option(term()) -> boolean().
is_option({file, Path}) -> is_binary(Path) orelse io_lib:char_list(Path);
is_option(Cookie) -> is_cookie(Cookie).

is_cookie(Cookie) ->
    is_binary(Cookie) andalso byte_size(Cookie) >= 16 andalso byte_size(Cookie) =< 1024
        andalso binary:match(Cookie, <<0>>) =:= nomatch.

%% @doc For a new connection, from the option. A file is read each time.
-spec start(none | binary() | {file, file:name_all()}) -> {ok, auth()} | {error, reason()}.
start(none) ->
    {ok, none};
start(Option) ->
    case {cookie(Option), code:ensure_loaded(crypto)} of
        {{ok, Cookie}, {module, crypto}} -> {ok, {Cookie, crypto:strong_rand_bytes(?BYTES)}};
        {{ok, _}, {error, _}} -> {error, no_crypto};
        {{error, Why}, _} -> {error, Why}
    end.

cookie({file, Path}) ->
    case file:read_file_info(Path) of
        {ok, #file_info{type = Type}} when Type =/= regular -> {error, not_regular};
        {ok, #file_info{mode = Mode}} when Mode band 8#077 =/= 0 -> {error, not_private};
        {ok, #file_info{uid = Uid}} -> read(Path, Uid =:= 0 orelse Uid =:= own_uid());
        {error, Why} -> {error, Why}
    end;
cookie(Cookie) ->
    {ok, Cookie}.

%% The system shows who runs a process as the owner of its directory.
own_uid() ->
    case file:read_file_info("/proc/self") of
        {ok, #file_info{uid = Uid}} -> Uid;
        {error, _} -> unknown
    end.

read(_, false) ->
    {error, not_owner};
read(Path, true) ->
    case file:read_file(Path) of
        {ok, Text} ->
            Cookie = string:trim(Text, trailing, [$\n, $\r]),
            case is_cookie(Cookie) of
                true -> {ok, Cookie};
                false -> {error, bad_cookie}
            end;
        {error, Why} ->
            {error, Why}
    end.

%% @doc What our hello has more.
-spec hello(auth()) -> map().
hello(none) -> #{};
hello({_, Ours}) -> #{auth => Ours}.

%% @doc The request that answers a challenge, once.
-spec answer(auth(), term()) -> {ok, tuple(), auth()} | error.
answer({Cookie, Ours}, Theirs) when ?IS_BYTES(Theirs) ->
    {ok, {auth, proof(Cookie, <<"porthost 1 client">>, Ours, Theirs)}, {Cookie, Ours, Theirs}};
answer(_, _) ->
    error.

%% @doc Whether the host's hello shows that it knows the cookie, if we have one.
-spec is_proven(auth(), map()) -> boolean().
is_proven(none, _) ->
    true;
is_proven({Cookie, Ours, Theirs}, #{auth := Proof}) when ?IS_BYTES(Proof) ->
    crypto:hash_equals(proof(Cookie, <<"porthost 1 host">>, Ours, Theirs), Proof);
is_proven(_, _) ->
    false.

proof(Cookie, Role, Ours, Theirs) ->
    crypto:mac(hmac, sha256, Cookie, [Role, 0, Ours, Theirs]).
