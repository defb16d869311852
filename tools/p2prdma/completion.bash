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

_p2prdma() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local options
	COMPREPLY=()
	case $previous in
	--card) mapfile -t COMPREPLY < <(compgen -W "$(_p2prdma_cards)" -- "$word") && return ;;
	--device) mapfile -t COMPREPLY < <(compgen -W "$(_p2prdma_devices)" -- "$word") && return ;;
	--to) mapfile -t COMPREPLY < <(compgen -A hostname -- "$word") && return ;;
	--out) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
	--via) mapfile -t COMPREPLY < <(compgen -W "card host" -- "$word") && return ;;
	--isolation) mapfile -t COMPREPLY < <(compgen -W "none iommu-lazy iommu-strict" -- "$word") && return ;;
	--piece | --port | --bind | --timeout | --wait) return ;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "list info send recv --help --version" -- "$word")
		return
	fi
	case ${COMP_WORDS[1]} in
	list) options="--json --help" ;;
	info) options="--json --help $(_p2prdma_cards) $(_p2prdma_local_cards)" ;;
	send) options="--to --card --device --via --isolation --piece --timeout --json --help" ;;
	recv) options="--card --out --port --bind --device --via --isolation --piece --timeout --wait --once --json --help" ;;
	*) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	if [ "${COMP_WORDS[1]}" = send ] && [[ $word != -* ]]; then
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
	fi
}

complete -o filenames -F _p2prdma p2prdma
