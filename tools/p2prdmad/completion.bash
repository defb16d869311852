# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# bash completion for p2prdmad(8)

_p2prdmad_names() {
	local entry
	for entry in "$@"; do
		[ -e "$entry" ] && printf '%s\n' "${entry##*/}"
	done
}

_p2prdmad() {
	local word=${COMP_WORDS[COMP_CWORD]} words
	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--card) words=$(_p2prdmad_names /sys/class/p2prdma/card*) ;;
	--adapter) words=$(_p2prdmad_names /sys/class/infiniband/*) ;;
	--isolation) words="none iommu-lazy iommu-strict" ;;
	--memory | --queue-pairs | --objects | --streams | --listen | --peer | --peer-gid) return ;;
	*)
		words="--card --adapter --isolation --memory --queue-pairs --objects --streams --listen
			--peer --peer-gid --wait --once --help --version"
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _p2prdmad p2prdmad
