#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The examples of drivers/README.md, "An efficient driver". Usage: [PORTHOSTCTL=..] efficient_test.sh
. tests/e2e/guide/lib.sh

chapter "An efficient driver" '-s copies'
finish 4
