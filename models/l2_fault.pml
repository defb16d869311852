// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Page faults of one direction: the receiver waits for pages, the sender for the receiver; each of
// their messages may be lost, repeated or overtaken. All frames are processed in the end, or the
// connection fails because a page cannot be had; and nothing is sent again unless something was
// lost or turned away (R7.1, R7.3).
//
// The code: lib/l2/fault_states.hpp, whose tables l2_tables.pml is generated from;
// lib/l2/peer_fault.cpp and send_window.cpp (Source), receive_window.cpp (Sink). What it is meant to
// do: Documentation/l2-wire.rst, "Page faults".
//
// Timers go off when the network is empty and nobody has anything to say: they are longer than a
// round trip. A page may take some of them (PATIENCE); then it comes. So every run ends, and one
// that does not end well is an invalid end state.
//
// Guards to take out, each of which must make the check fail:
//   NO_PROBE   a sender waits for a resume for ever
//   NO_REPEAT  a probe is not answered by the delay
//   NO_EPOCH   a second fault of a frame looks like the first
//   NO_FREEZE  timeouts run while the receiver waits
//   NO_SACK    after a resume all is sent again, held or not

#include "l2_tables.pml"

#ifndef LOSSES
#define LOSSES 2
#endif
#ifndef REPEATS
#define REPEATS 1
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef MESSAGES
#define MESSAGES 3
#endif
#define PATIENCE 3
#define PROBES 2
#define WINDOW 2
#define SLOTS 2

// wire::FaultKind
#define NONE 0
#define DELAY 1
#define RESUME 2
#define ABORT 3

typedef Report { bit there; byte next; byte sack; byte kind; byte epoch; byte psn };
byte frames[SLOTS]; // psn; 0: free. They do not wrap here: see l2_reliability.pml
Report reports[SLOTS];
bit probe = 0; // one is under way
byte losses = LOSSES;
byte repeats = REPEATS;
byte patience = PATIENCE;
byte turned_away = 0; // frames

// The sender.
byte first = 1;
byte fresh = 1;
byte sacked = 0; // bit i: first + i is held by the receiver
byte source = SOURCE_sending;
bit current = 0; // PeerFault::current_
bit over = 1;
byte fault_psn = 0;
byte fault_epoch = 0;
byte probes = 0;
byte again = 0; // frames that were sent again

// The receiver.
byte next = 1;
byte held = 0; // bit i: next + i
byte sink = SINK_fault_free;
byte epoch = 0;
byte waiting = 0; // psn of the fault
bit resume_due = 0;
bit report = 0;
byte faults = FAULTS;
bit can_abort = 1;
bit can_turn_away = 1;

#define QUIET (frames[0] == 0 && frames[1] == 0 && !reports[0].there && !reports[1].there && !probe && !report)
#define FRAME_ROOM (frames[0] == 0 || frames[1] == 0)
#define IN_NETWORK(number) (frames[0] == (number) || frames[1] == (number))
#define REPORT_ROOM (!reports[0].there || !reports[1].there)
#define IS_HELD(number) ((number) >= next && (held & (1 << ((number) - next))))

#define HAS_COME(number) ((number) < next || IS_HELD(number))

inline put_frame(number)
{
    if
    :: frames[0] == 0 -> frames[0] = number
    :: else -> frames[1] = number
    fi
}

inline sink_event(what)
{
    sink_step(sink, what, action);
    if
    :: action == SINK_DO_none -> skip
#ifdef NO_REPEAT
    :: action == SINK_DO_repeat -> skip
#endif
    :: action == SINK_DO_delay ->
#ifndef NO_EPOCH
        epoch++;
#endif
        waiting = next;
        resume_due = 0;
        report = 1
    :: action == SINK_DO_resume -> resume_due = 1; report = 1
    :: else -> report = 1
    fi;
    action = 0
}

// ReceiveWindow::processed()
inline processed()
{
    held = held >> 1;
    next++;
    if
    :: sink != SINK_fault_free -> sink_event(SINK_ON_processed)
    :: else
    fi;
    report = 1
}

// Connection::process(): the next frame; it comes from the network or is held.
inline process()
{
    if
    :: faults > 0 ->
        faults--;
        if
        :: can_turn_away && !(held & 1) ->
            can_turn_away = 0;
            turned_away++;
            sink_event(SINK_ON_no_room)
        :: true -> held = held | 1; sink_event(SINK_ON_fault)
        fi
    :: true -> processed()
    fi
}

// ReceiveWindow::held()
inline drain()
{
    do
    :: (held & 1) && sink != SINK_faulting && sink != SINK_refused -> process()
    :: else -> break
    od
}

// ReceiveWindow::arrived()
inline arrived(number)
{
    if
    :: sink == SINK_refused || number < next || IS_HELD(number) -> sink_event(SINK_ON_asked)
    :: else ->
        if
        :: number == next -> process(); drain()
        :: else -> held = held | (1 << (number - next)); report = 1
        fi
    fi
}

// ReceiveWindow::report()
inline put_report(slot)
{
    reports[slot].there = 1;
    reports[slot].next = next;
    reports[slot].sack = held;
    if
    :: sink == SINK_faulting || sink == SINK_turned_away -> reports[slot].kind = DELAY
    :: sink == SINK_refused -> reports[slot].kind = ABORT
    :: sink == SINK_resuming || (sink == SINK_fault_free && resume_due) -> reports[slot].kind = RESUME
    :: else -> reports[slot].kind = NONE
    fi;
    if
    :: reports[slot].kind != NONE -> reports[slot].epoch = epoch; reports[slot].psn = waiting
    :: else
    fi;
    report = 0;
    resume_due = 0
}

active proctype Sink()
{
    byte n, action;
end:
    do
    :: atomic { // a frame, which the network may lose or repeat
        (frames[0] != 0 || frames[1] != 0) ->
        if
        :: frames[0] != 0 -> n = 0
        :: frames[1] != 0 -> n = 1
        fi;
        if
        :: losses > 0 -> losses--; frames[n] = 0
        :: true -> arrived(frames[n]); frames[n] = 0
        :: repeats > 0 -> repeats--; arrived(frames[n])
        fi;
        n = 0
       }
    :: atomic {
        probe ->
        probe = 0;
        if
        :: losses > 0 -> losses--
        :: true -> sink_event(SINK_ON_asked)
        fi
       }
    :: atomic { // the page is there
        sink == SINK_faulting || sink == SINK_turned_away ->
        sink_event(SINK_ON_resolved);
        drain()
       }
    :: atomic { // it cannot be had
        can_abort && sink == SINK_faulting ->
        can_abort = 0;
        sink_event(SINK_ON_abort)
       }
    :: atomic { // the estimate is nearly over
        QUIET && sink == SINK_faulting && patience > 0 ->
        patience--;
        sink_event(SINK_ON_timer)
       }
    :: atomic {
        report && REPORT_ROOM ->
        if
        :: !reports[0].there -> put_report(0)
        :: else -> put_report(1)
        fi
       }
    od
}

inline send_again(number)
{
    again++;
    // R7.1: a fault alone costs no retransmission
    assert(losses < LOSSES || again <= turned_away || sink == SINK_refused);
    put_frame(number)
}

// PeerFault::is_old()
#define IS_OLD(slot) (current && (reports[slot].psn < fault_psn || \
    (reports[slot].psn == fault_psn && (reports[slot].epoch < fault_epoch || \
        (reports[slot].epoch == fault_epoch && over)))))

inline remember(slot, is_over)
{
    fault_psn = reports[slot].psn;
    fault_epoch = reports[slot].epoch;
    over = is_over
}

// SendWindow::acknowledged(), PeerFault::acknowledged()
inline acknowledged(slot)
{
    if
    :: reports[slot].next >= first ->
        assert(reports[slot].next <= next);
        sacked = sacked >> (reports[slot].next - first);
        first = reports[slot].next;
        sacked = (sacked | reports[slot].sack) & ((1 << (fresh - first)) - 1);
        if
        :: current && fault_psn < first ->
            current = 0;
            source_step(source, SOURCE_ON_acknowledged, action)
        :: else
        fi
    :: else
    fi
}

// What a resume does not report as held was turned away; but for what was sent within a round trip
// before, which may have come since.
inline send_missing()
{
    n = 0;
    do
    :: n < fresh - first ->
        if
#ifndef NO_SACK
        :: (sacked & (1 << n)) || HAS_COME(first + n) -> skip
#endif
        :: IN_NETWORK(first + n) -> skip
        :: else ->
            if
            :: FRAME_ROOM -> send_again(first + n)
            :: else
            fi
        fi;
        n++
    :: else -> break
    od
}

// PeerFault::resumed()
inline resumed(slot)
{
    if
    :: IS_OLD(slot) || (over && reports[slot].epoch == fault_epoch && reports[slot].psn == fault_psn) ->
        skip
    :: else ->
        remember(slot, 1);
        source_step(source, SOURCE_ON_resume, action);
        send_missing()
    fi
}

// SendWindow::fault()
inline told(slot)
{
    if
    :: reports[slot].kind == RESUME -> resumed(slot)
    :: reports[slot].kind == DELAY && reports[slot].psn >= first && !IS_OLD(slot) ->
        remember(slot, 0);
        current = 1;
        probes = 0;
        source_step(source, SOURCE_ON_delay, action)
    :: reports[slot].kind == ABORT -> source_step(source, SOURCE_ON_abort, action)
    :: else
    fi
}

inline heard(slot)
{
    probes = 0; // PeerFault::heard()
    acknowledged(slot);
    told(slot);
    action = 0
}

inline clear_report(slot)
{
    reports[slot].there = 0;
    reports[slot].next = 0;
    reports[slot].sack = 0;
    reports[slot].kind = 0;
    reports[slot].epoch = 0;
    reports[slot].psn = 0
}

// SendWindow::time_out()
inline time_out()
{
    if
    :: sacked & 1 -> sacked = 0
    :: else
    fi;
    send_again(first)
}

#define WAITING (source == SOURCE_pf_wait || source == SOURCE_probing)
#define TIMER (QUIET && first < fresh && (sink != SINK_faulting || patience > 0))

inline lose_patience()
{
    if
    :: sink == SINK_faulting -> patience--
    :: else
    fi
}

active proctype Source()
{
    byte n, slot, action;
    do
    :: atomic {
        fresh <= MESSAGES && fresh - first < WINDOW && FRAME_ROOM && source != SOURCE_failed ->
        put_frame(fresh);
        fresh++
       }
    :: atomic {
        (reports[0].there || reports[1].there) ->
        if
        :: reports[0].there -> slot = 0
        :: reports[1].there -> slot = 1
        fi;
        if
        :: losses > 0 -> losses--; clear_report(slot)
        :: true -> heard(slot); clear_report(slot)
        :: repeats > 0 -> repeats--; heard(slot)
        fi;
        slot = 0;
        n = 0
       }
#ifdef NO_FREEZE
    :: atomic { TIMER && source != SOURCE_failed -> lose_patience(); time_out() }
#else
    :: atomic { TIMER && source == SOURCE_sending -> lose_patience(); time_out() }
#endif
#ifndef NO_PROBE
    :: atomic { // SendWindow::wait_for_page()
        TIMER && WAITING ->
        lose_patience();
        if
        :: probes < PROBES -> source_step(source, SOURCE_ON_timer, action)
        :: else -> source_step(source, SOURCE_ON_exhausted, action)
        fi;
        if
        :: action == SOURCE_DO_probe -> probe = 1; probes++
        :: action == SOURCE_DO_expire -> time_out()
        :: else
        fi;
        action = 0
       }
#endif
    :: first > MESSAGES || source == SOURCE_failed -> break
    od;
    assert(source != SOURCE_failed || sink == SINK_refused)
}
