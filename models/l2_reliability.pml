// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// One direction of a connection: frames arrive each once and in order, whatever the network does,
// and all are acknowledged in the end.
//
// The code: lib/l2/send_window.cpp (Sender), lib/l2/receive_window.cpp (Receiver). What it is meant
// to do: Documentation/l2-wire.rst, "Acknowledgements" and "Naks".
//
// The network loses, repeats and reorders. All that it may do wrong is bounded, and a retransmission
// needs a timeout or some of the bounded spurious ones; so every run ends, and one that does not
// end well is an invalid end state. Frames' PSNs wrap: there are 8, and the first is 5. What the protocol
// knows is `psn`; `data`, `done` and `base` are the observer's, and never wrap.
//
// Guards to take out, each of which must make the check fail:
//   NO_DUPLICATE_CHECK  what was processed is processed again
//   NO_LIFETIME         the network may keep frames for a whole turn of the PSNs (9 messages)
//   ACK_HELD            what is held is acknowledged as if it was processed
//   NO_FORGET           a sender trusts for ever that what was reported is held

#ifndef LOSSES
#define LOSSES 2
#endif
#ifndef REPEATS
#define REPEATS 1
#endif
#ifndef SPURIOUS
#define SPURIOUS 1
#endif
#ifndef NOT_READY
#define NOT_READY 1
#endif

#define PSNS 8
#define HALF 4
#define WINDOW 3
#ifndef MESSAGES
#define MESSAGES 6
#endif
#define SLOTS 2
#define FIRST_PSN 5

// wire::psn_distance(from, to), plus HALF so that it is not negative
#define AHEAD(from, to) (((to) - (from) + HALF + 2 * PSNS) % PSNS)

// Frames under way. `data` 0: the slot is free.
typedef Frame { byte psn; byte data; };
typedef Ack { bit there; byte next; byte sack; byte base; bit nak; };
Frame frames[SLOTS];
Ack acks[SLOTS];
byte losses = LOSSES;
byte repeats = REPEATS;

// The sender: the first that is not acknowledged, and the next new one, as data.
byte first = 1;
byte fresh = 1;
byte sacked = 0; // bit i: first + i is held by the receiver
byte spurious = SPURIOUS;

// The receiver.
byte next = FIRST_PSN;
byte done = 0;      // data that was processed last
byte held[WINDOW];  // data, by distance; 0: not there
bit report = 0;     // an acknowledgement is due
bit refuse = 0;     // it is a nak
bit dropping = 0;   // after a nak, until the frame comes
byte not_ready = NOT_READY;

#define PSN(d) (((d) - 1 + FIRST_PSN) % PSNS)
#define ALL_SENT (fresh > MESSAGES)
#define FINISHED (first > MESSAGES)

// Puts a frame into a free slot; the caller has seen to it that there is one.
inline put_frame(what)
{
    if
    :: frames[0].data == 0 -> frames[0].psn = PSN(what); frames[0].data = what
    :: else -> frames[1].psn = PSN(what); frames[1].data = what
    fi
}
#define FRAME_ROOM (frames[0].data == 0 || frames[1].data == 0)
#define ACK_ROOM (!acks[0].there || !acks[1].there)

inline process(what)
{
    assert(what == done + 1); // in order, each once
    done = what;
    next = (next + 1) % PSNS;
    dropping = 0
}

// Held frames move up by one.
inline shift_held()
{
    i = 0;
    do
    :: i < WINDOW - 1 -> held[i] = held[i + 1]; i++
    :: else -> held[i] = 0; break
    od
}

// ReceiveWindow::arrived()
inline arrived(number, what)
{
    ahead = AHEAD(next, number);
    if
#ifdef NO_DUPLICATE_CHECK
    :: ahead == HALF || ahead == HALF - 1 ->
#else
    :: ahead == HALF ->
#endif
        if
        :: not_ready > 0 -> // no receive is posted
            not_ready--;
            refuse = 1;
            dropping = 1;
            i = 0;
            do
            :: i < WINDOW -> held[i] = 0; i++
            :: else -> break
            od
        :: true ->
            process(what);
            shift_held();
            do
            :: held[0] != 0 -> process(held[0]); shift_held()
            :: else -> break
            od
        fi;
        report = 1
    :: ahead > HALF && ahead - HALF < WINDOW ->
        if
        :: dropping -> skip
        :: else -> held[ahead - HALF] = what; report = 1
        fi
    :: else -> report = 1 // a duplicate
    fi;
    i = 0;
    ahead = 0
}

// ReceiveWindow::report()
inline put_ack(slot)
{
    acks[slot].there = 1;
    acks[slot].next = next;
    acks[slot].base = done + 1;
    acks[slot].nak = refuse;
    i = 1;
    do
    :: i < WINDOW ->
        if
        :: held[i] != 0 -> acks[slot].sack = acks[slot].sack | (1 << i)
        :: else
        fi;
        i++
    :: else -> break
    od;
#ifdef ACK_HELD
    if
    :: acks[slot].sack != 0 -> acks[slot].next = (next + 2) % PSNS
    :: else
    fi;
#endif
    i = 0;
    report = 0;
    refuse = 0
}

active proctype Receiver()
{
    byte i, n, ahead;
end:
    do
    // The network's choice: which frame, and whether the slot is free afterwards.
    :: atomic {
        (frames[0].data != 0 || frames[1].data != 0) ->
        if
        :: frames[0].data != 0 -> n = 0
        :: frames[1].data != 0 -> n = 1
        fi;
        if
#ifndef NO_LIFETIME
        :: frames[n].data + HALF <= done + 1 -> frames[n].data = 0 // none lives so long
        :: else ->
#else
        :: true ->
#endif
            if
            :: losses > 0 -> losses--; frames[n].data = 0
            :: true -> arrived(frames[n].psn, frames[n].data); frames[n].data = 0
            :: repeats > 0 -> repeats--; arrived(frames[n].psn, frames[n].data)
            fi
        fi;
        n = 0
       }
    :: atomic {
        report && ACK_ROOM ->
        if
        :: !acks[0].there -> put_ack(0)
        :: else -> put_ack(1)
        fi
       }
    od
}

// SendWindow::acknowledged(), not_ready()
inline acknowledged(slot)
{
    ahead = AHEAD(PSN(first), acks[slot].next);
    if
    :: ahead < HALF -> skip // an old one
    :: else ->
        first = first + (ahead - HALF);
        assert(first <= done + 1); // all before was processed
        sacked = sacked >> (ahead - HALF);
        if
        :: acks[slot].nak -> sacked = 0 // SendWindow::not_ready(): all is to be sent again
        :: else -> sacked = sacked | acks[slot].sack
        fi;
        sacked = sacked & ((1 << (fresh - first)) - 1)
    fi;
    ahead = 0
}

inline clear_ack(slot)
{
    acks[slot].there = 0;
    acks[slot].next = 0;
    acks[slot].sack = 0;
    acks[slot].base = 0;
    acks[slot].nak = 0
}

active proctype Sender()
{
    byte n, ahead;
    do
    :: atomic { // a new frame
        !ALL_SENT && fresh - first < WINDOW && FRAME_ROOM ->
        put_frame(fresh);
        fresh++
       }
    :: atomic {
        (acks[0].there || acks[1].there) ->
        if
        :: acks[0].there -> n = 0
        :: acks[1].there -> n = 1
        fi;
        if
#ifndef NO_LIFETIME
        :: acks[n].base + HALF <= first -> clear_ack(n)
        :: else ->
#else
        :: true ->
#endif
            if
            :: losses > 0 -> losses--; clear_ack(n)
            :: true -> acknowledged(n); clear_ack(n)
            :: repeats > 0 -> repeats--; acknowledged(n)
            fi
        fi;
        n = 0
       }
    :: atomic { // any frame that is not known to be held, too early: reordering looked like loss
        spurious > 0 && first < fresh && FRAME_ROOM ->
        spurious--;
        n = 0;
        do
        :: n + 1 < fresh - first -> n++
        :: break
        od;
        if
        :: !(sacked & (1 << n)) -> put_frame(first + n)
        :: else
        fi;
        n = 0
       }
    :: atomic { // SendWindow::time_out(): nothing else can happen
#ifdef NO_FORGET
        timeout && first < fresh && !(sacked & 1) ->
#else
        timeout && first < fresh ->
        if
        :: sacked & 1 -> sacked = 0
        :: else
        fi;
#endif
        put_frame(first)
       }
    :: FINISHED -> break
    od;
    assert(done == MESSAGES)
}
