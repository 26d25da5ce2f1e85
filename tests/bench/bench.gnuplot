# SPDX-License-Identifier: Apache-2.0
# Draws what bench_report:plot_data/2 wrote: gnuplot -c bench.gnuplot SCRATCH OUTPUT
dir = ARG1
set terminal svg size 1600,1100 background "white" font "sans,12"
set output ARG2
set multiplot layout 2,2
set logscale xy
set key outside right top
set grid
set format x "%.0s%c"
set format y "%.0s%c"
contenders(file) = int(system("grep -c '^\"' ".dir."/".file))

set xlabel "bytes"
set ylabel "microseconds"
set title "round trip of a command, Erlang caller"
f = dir."/trip-erlang"
plot for [i=0:contenders("trip-erlang")-1] f index i using 1:2:3:4 with yerrorlines linecolor i+1 dashtype 1+i/8 pointtype i+1 title columnheader(1)
set title "round trip of a command, C caller"
f = dir."/trip-c"
plot for [i=0:contenders("trip-c")-1] f index i using 1:2:3:4 with yerrorlines linecolor i+1 dashtype 1+i/8 pointtype i+1 title columnheader(1)

set xlabel "commands under way"
set ylabel "a second"
set title "commands of 64 B with their answers, Erlang caller"
f = dir."/pipe-erlang"
plot for [i=0:contenders("pipe-erlang")-1] f index i using 1:2:3:4 with yerrorlines linecolor i+1 dashtype 1+i/8 pointtype i+1 title columnheader(1)
set title "commands of 64 B with their answers, C caller"
f = dir."/pipe-c"
plot for [i=0:contenders("pipe-c")-1] f index i using 1:2:3:4 with yerrorlines linecolor i+1 dashtype 1+i/8 pointtype i+1 title columnheader(1)
unset multiplot
