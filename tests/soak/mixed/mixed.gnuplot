# SPDX-License-Identifier: Apache-2.0
# Draws what mixed_run:draw/3 wrote: gnuplot -c mixed.gnuplot DIRECTORY OUTPUT
samples = ARG1."/samples"
quiet = ARG1."/quiet"
set terminal svg size 1200,900 background "white" font "sans,12"
set output ARG2
set multiplot layout 3,1 title "the daemon under mixed load: always, and in the quiet moments"
set grid
set key outside right top
set yrange [0:*]
set lmargin 10
set ylabel "MiB resident"
plot samples using 1:2 with lines linecolor 7 title "memory", quiet using 1:2 with linespoints linewidth 2 linecolor 1 pointtype 7 title "quiet"
set ylabel "number"
plot samples using 1:3 with lines linecolor 2 title "descriptors", quiet using 1:3 with points pointtype 7 linecolor 2 title "quiet", \
     samples using 1:4 with lines linecolor 4 title "threads", quiet using 1:4 with points pointtype 7 linecolor 4 title "quiet"
set xlabel "seconds"
plot samples using 1:5 with lines linecolor 3 title "connections", quiet using 1:5 with points pointtype 7 linecolor 3 title "quiet", \
     samples using 1:6 with lines linecolor 6 title "ports", quiet using 1:6 with points pointtype 7 linecolor 6 title "quiet"
unset multiplot
