# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# bash completion for p2prdma(1)

_p2prdma_cards() {
	local card
	for card in /sys/class/p2prdma/card*; do
		[ -e "$card" ] && printf '%s\n' "${card##*/card}"
	done
}

_p2prdma_local_cards() {
	local card
	for card in /sys/class/p2prdma_local/local*; do
		[ -e "$card" ] && printf '%s\n' "${card##*/}"
	done
}

_p2prdma_devices() {
	local device
	for device in /sys/class/infiniband/*; do
		[ -e "$device" ] && printf '%s\n' "${device##*/}"
	done
}

_p2prdma_interfaces() {
	local interface
	for interface in /sys/class/net/*; do
		[ -e "$interface" ] && [ "${interface##*/}" != lo ] && printf '%s\n' "${interface##*/}"
	done
}

# What the subcommands of l2 take.
_p2prdma_l2_options() {
	local device="--interface --port-kind --ether-type --vlan --mtu --name --key --trust-segment --faults --lose --lose-seed"
	local client="--service --timeout --polling --json --help"
	case $1 in
	serve) echo "$device --service --memory --implicit --connections --time --polling --json --help" ;;
	ping) echo "$device $client --count --size --interval" ;;
	perf) echo "$device $client --op --size --time --queue-pairs --window --latency" ;;
	stat) echo "$device --service --wait --json --help" ;;
	capture) echo "--interface -w --ether-type --count --time --promiscuous --quiet --json --help" ;;
	transfer) echo "$device" ;;
	esac
}

_p2prdma() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local options
	COMPREPLY=()
	case $previous in
	--card) mapfile -t COMPREPLY < <(compgen -W "$(_p2prdma_cards)" -- "$word") && return ;;
	--device) mapfile -t COMPREPLY < <(compgen -W "$(_p2prdma_devices)" -- "$word") && return ;;
	--to) mapfile -t COMPREPLY < <(compgen -A hostname -- "$word") && return ;;
	--interface | -i) mapfile -t COMPREPLY < <(compgen -W "$(_p2prdma_interfaces)" -- "$word") && return ;;
	--port-kind) mapfile -t COMPREPLY < <(compgen -W "automatic packet ring xdp" -- "$word") && return ;;
	--faults) mapfile -t COMPREPLY < <(compgen -W "delay rnr" -- "$word") && return ;;
	--op) mapfile -t COMPREPLY < <(compgen -W "send write read fetch-add compare-swap" -- "$word") && return ;;
	--key | -w) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
	--out) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
	--via) mapfile -t COMPREPLY < <(compgen -W "card host l2" -- "$word") && return ;;
	--isolation) mapfile -t COMPREPLY < <(compgen -W "none iommu-lazy iommu-strict" -- "$word") && return ;;
	--piece | --port | --bind | --timeout | --wait | --ether-type | --vlan | --mtu | --name | --lose | --lose-seed | \
		--service | --memory | --connections | --time | --count | -c | --size | --interval | --queue-pairs | --window) return ;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "list info send recv l2 --help --version" -- "$word")
		return
	fi
	case ${COMP_WORDS[1]} in
	list) options="--json --help" ;;
	info) options="--json --help $(_p2prdma_cards) $(_p2prdma_local_cards)" ;;
	send) options="--to --card --device --via --isolation --piece --timeout --json --help $(_p2prdma_l2_options transfer)" ;;
	recv) options="--card --out --port --bind --device --via --isolation --piece --timeout --wait --once --implicit --json --help $(_p2prdma_l2_options transfer)" ;;
	l2)
		options="serve ping perf stat capture --help"
		[ "$COMP_CWORD" -gt 2 ] && options=$(_p2prdma_l2_options "${COMP_WORDS[2]}")
		;;
	*) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	if [ "${COMP_WORDS[1]}" = send ] && [[ $word != -* ]]; then
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -o filenames -F _p2prdma p2prdma
