#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Daemon after daemon takes over the sockets of the service manager, while clients connect without a pause, to a unix socket and to a TCP one: each attempt is taken, and what the
# one that ends has taken is told goodbye. Prints TAP lines and "N passed, N failed".
. "$(dirname "$0")/lib.sh"
shown=("$dir/sums" "$dir/err")

# The service manager: opens the sockets at descriptors 3 and 4 and keeps them, while a new daemon starts and then the one before ends.
cat >"$dir/manager" <<'END'
use IO::Socket::INET; use IO::Socket::UNIX; use POSIX;
my ($dir, $port, @command) = @ARGV;
my @s = (IO::Socket::UNIX->new(Local => "$dir/s", Listen => 1024), IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port", Listen => 1024, ReuseAddr => 1));
$s[0] && $s[1] or die "$port: $!";
POSIX::dup2(fileno($s[$_]), $_ + 20) for 0, 1;
my ($started, %said);
sub start {
  my $path = "$dir/said." . ++$started;
  my $said = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) // die $!;
  my $pid = fork // die $!;
  $said{$pid} = $said and return $pid if $pid;
  POSIX::dup2($_ + 20, $_ + 3) for 0, 1;
  @ENV{"LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"} = (2, $$, $path);
  exec @command;
}
sub stop { # a slow one may still be starting
  my $pid = shift;
  my $what = "";
  $said{$pid}->recv($what, 4096) until $what =~ /^READY=1/m;
  kill TERM => $pid;
  waitpid $pid, 0;
  $? and print "status $?\n";
}
my $new = start();
for (1 .. 8) {
  my $old = $new;
  $new = start();
  select undef, undef, undef, 0.2;
  stop($old);
}
open my $f, ">", "$dir/done" or die;
select undef, undef, undef, 0.05 until -e "$dir/gone"; # the clients
stop($new);
END

# A client: connects, says hello, looks what comes, and goes. Counts.
cat >"$dir/client" <<'END'
use IO::Socket::INET; use IO::Socket::UNIX;
my ($dir, $port, $name) = @ARGV;
$SIG{PIPE} = "IGNORE";
my $hello = pack "Na*", 17, "\x83h\x03w\x05helloa\x01t\0\0\0\0";
my %n;
until (-e "$dir/done") {
  my $c = $n{all}++ % 2 ? IO::Socket::UNIX->new(Peer => "$dir/s") : IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
  if (!$c) { $n{"refused $!"}++; next }
  syswrite $c, $hello;
  my ($got, $answer) = (1, "");
  while ($got && length $answer < 4 + unpack "N", $answer . "\0" x 4) { $got = sysread $c, $answer, 4096, length $answer }
  $n{!defined $got ? "error $!" : !$got ? "end" : $answer =~ /hello/ ? "hello" : $answer =~ /goodbye.*shutdown/s ? "goodbye" : "other"}++;
}
print "$_: $n{$_}\n" for sort keys %n;
END

timeout 60 perl "$dir/manager" "$dir" $tcp_port "$daemon" --driver-path "$drivers" --log-level error >"$dir/err" 2>&1 &
manager=$!
await listens_at "$dir/s"
clients=()
for i in 1 2 3 4; do
  timeout 60 perl "$dir/client" "$dir" $tcp_port >"$dir/client.$i" 2>&1 &
  clients+=($!)
done
wait "${clients[@]}"
touch "$dir/gone"
wait $manager
status=$?
awk -F ': ' '{n[$1] += $2} END {for (what in n) print what ": " n[what]}' "$dir"/client.[1-4] >"$dir/sums"
sum() { awk -F ': ' -v what="$1" '$1 == what {n = $2} END {print n + 0}' "$dir/sums"; }
[ "$(sum all)" -ge 200 ] && ! grep -q '^refused' "$dir/sums"
ok $? "no attempt to connect is refused"
[ "$(sum hello)" -ge 100 ] && [ $(($(sum hello) + $(sum goodbye))) -eq "$(sum all)" ]
ok $? "each is served, or told that the daemon ends"
[ $status -eq 0 ] && [ ! -s "$dir/err" ]
ok $? "each daemon ends with status 0"

finish
