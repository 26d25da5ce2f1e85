%% SPDX-License-Identifier: Apache-2.0
%% @private
%% @doc How long to wait before something that has been lost is tried again.
%%
%% Each delay is twice the one before, from `min' up to `max' milliseconds, and is shortened by
%% chance to between the half and all of it, so that those who have lost the same thing do not all
%% come at once. It begins with `min' again after what has lasted longer than `max'; what is lost at
%% once every time would otherwise be started as fast as it can be lost.
-module(porthost_backoff).

-export([is_option/1, new/1, min_ms/1, began/1, lost/1, next/1]).

-export_type([option/0, t/0]).

-define(MIN_DELAY, 100).
-define(MAX_DELAY, 10000).

-type option() :: #{min => pos_integer(), max => pos_integer()}.
%% Milliseconds: 100 and 10000 if not given.

-record(backoff, {min :: pos_integer(),
                  max :: pos_integer(),
                  delay :: pos_integer(),               % before the next attempt
                  since :: integer()}).                 % when it began to last, monotonic

-opaque t() :: #backoff{}.

-spec is_option(term()) -> boolean().
is_option(#{} = Option) ->
    #{min := Min, max := Max} = Given = with_defaults(Option),
    map_size(Given) =:= 2 andalso is_integer(Min) andalso is_integer(Max) andalso Min > 0 andalso
        Max >= Min andalso Max < 1 bsl 32;
is_option(_) ->
    false.

with_defaults(Option) ->
    maps:merge(#{min => ?MIN_DELAY, max => ?MAX_DELAY}, Option).

-spec new(option()) -> t().
new(Option) ->
    #{min := Min, max := Max} = with_defaults(Option),
    #backoff{min = Min, max = Max, delay = Min, since = now_ms()}.

-spec min_ms(t()) -> pos_integer().
min_ms(#backoff{min = Min}) ->
    Min.

%% @doc It is there now.
-spec began(t()) -> t().
began(Backoff) ->
    Backoff#backoff{since = now_ms()}.

%% @doc It is lost; whether it has lasted.
-spec lost(t()) -> {boolean(), t()}.
lost(#backoff{min = Min, max = Max, since = Since} = Backoff) ->
    case now_ms() - Since > Max of
        true -> {true, Backoff#backoff{delay = Min}};
        false -> {false, Backoff}
    end.

%% @doc How many milliseconds to wait.
-spec next(t()) -> {pos_integer(), t()}.
next(#backoff{delay = Delay, max = Max} = Backoff) ->
    Ms = Delay - rand:uniform(Delay div 2 + 1) + 1,
    {Ms, Backoff#backoff{delay = min(2 * Delay, Max)}}.

now_ms() ->
    erlang:monotonic_time(millisecond).
