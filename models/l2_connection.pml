// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Connections begin and end, stations restart, frames are lost, repeated and overtaken: data arrive
// in the connection that they were sent for and in no other, and in the end nobody believes to be
// connected to somebody who does not, or waits for ever.
//
// The code: lib/l2/connection_states.hpp, whose table l2_tables.pml is generated from;
// lib/l2/handshake.cpp (addresses, repeats), connection.cpp (received(), connected_frame()),
// engine_frames.cpp (to_connection(), no_link()), pending_requests.cpp. What it is meant to do:
// Documentation/l2-wire.rst, "Connections".
//
// Alice connects, a few times; Bob accepts; both send, disconnect, forget, and may restart. Each has
// room for one connection, with the same queue pair number each time. A restarted station has
// another epoch, but may choose the same tags again. `id` is the observer's: it names one end of one
// connection for ever. Timers go off when the network is empty. All that may go wrong is bounded,
// so every run ends; the Observer looks at how.
//
// Guards to take out, each of which must make the check fail:
//   NO_EPOCH       frames for the station before its restart are taken
//   NO_TAG         frames for the connection before this are taken
//   NO_KEEP_ALIVE  who is silent is trusted for ever

#include "l2_tables.pml"

#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef REPEATS
#define REPEATS 1
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef DATA
#define DATA 2
#endif
#define TRIES 2
#define SLOTS 2
#define ALICE 0
#define BOB 1

mtype = { request, reply, ready, disconnect_request, disconnect_reply, data, keep_alive, ack, no_link };

// epoch and tag: of the destination. from_epoch, from_tag: in request and reply, what the sender says
// of itself; from: the sender's id, in request and reply the nonce too; for: the observer's, whom the
// sender means.
typedef Frame { mtype kind; byte epoch; byte tag; byte from_epoch; byte from_tag; byte from; byte to };
typedef Station {
    byte state;
    byte epoch;
    byte tags;       // chosen since the restart
    byte tag;        // of the connection
    byte peer_epoch;
    byte peer_tag;
    byte id;
    byte peer;       // id
    byte tries;
    byte asked;      // keep alives without an answer
};
Station s[2];
Frame frames[4]; // 0, 1: to Alice; 2, 3: to Bob
byte losses = LOSSES;
byte repeats = REPEATS;
byte restarts = RESTARTS;
byte attempts = ATTEMPTS;
byte volume = DATA;
bit may_disconnect = 1;
byte ids = 0;

#define QUIET (frames[0].kind == 0 && frames[1].kind == 0 && frames[2].kind == 0 && frames[3].kind == 0)
#define OTHER (1 - me)
#define ROOM (frames[2 * OTHER].kind == 0 || frames[2 * OTHER + 1].kind == 0)
#define ESTABLISHED(who) (s[who].state == CONNECTION_established)
#define REPEATS_ITSELF(who) (s[who].state == CONNECTION_request_sent || \
    s[who].state == CONNECTION_reply_sent || s[who].state == CONNECTION_disconnect_sent)
#define OVER(who) (s[who].state == CONNECTION_closed || s[who].state == CONNECTION_failed)
#define TOGETHER (s[ALICE].peer == s[BOB].id && s[BOB].peer == s[ALICE].id)

inline clear(slot)
{
    frames[slot].kind = 0;
    frames[slot].epoch = 0;
    frames[slot].tag = 0;
    frames[slot].from_epoch = 0;
    frames[slot].from_tag = 0;
    frames[slot].from = 0;
    frames[slot].to = 0
}

// Handshake::frame(), to the peer as far as it is known. Without room it is lost.
inline put(what)
{
    if
    :: ROOM ->
        if
        :: frames[2 * OTHER].kind == 0 -> at = 2 * OTHER
        :: else -> at = 2 * OTHER + 1
        fi;
        frames[at].kind = what;
        frames[at].epoch = s[me].peer_epoch;
        frames[at].tag = s[me].peer_tag;
        frames[at].from = s[me].id;
        frames[at].to = s[me].peer;
        if
        :: what == request || what == reply ->
            frames[at].from_epoch = s[me].epoch;
            frames[at].from_tag = s[me].tag
        :: else
        fi;
        at = 0
    :: else
    fi
}

inline forget()
{
    s[me].state = CONNECTION_idle;
    s[me].tag = 0;
    s[me].peer_epoch = 0;
    s[me].peer_tag = 0;
    s[me].id = 0;
    s[me].peer = 0;
    s[me].tries = 0;
    s[me].asked = 0
}

inline act()
{
    if
    :: action == CONNECTION_DO_send_request -> put(request)
    :: action == CONNECTION_DO_send_reply -> put(reply)
    :: action == CONNECTION_DO_send_ready ->
        put(ready)
    :: action == CONNECTION_DO_send_disconnect -> put(disconnect_request)
    :: action == CONNECTION_DO_send_disconnect_reply -> put(disconnect_reply)
    :: else
    fi;
    action = 0
}

// Handshake::happens(), Connection::act()
inline happens(event)
{
    before = s[me].state;
    connection_step(s[me].state, event, action);
    if
    :: s[me].state != before -> s[me].tries = 0
    :: else
    fi;
    act();
    before = 0
}

inline new_end()
{
    ids++;
    s[me].tags++;
    s[me].id = ids;
    s[me].tag = s[me].tags
}

// Engine::connect_request()
inline take_request(slot)
{
    if
    :: me == BOB && s[me].state != CONNECTION_idle && s[me].peer == frames[slot].from ->
        happens(CONNECTION_ON_request)
    :: me == BOB && s[me].state == CONNECTION_idle ->
        new_end();
        s[me].peer_epoch = frames[slot].from_epoch;
        s[me].peer_tag = frames[slot].from_tag;
        s[me].peer = frames[slot].from;
        happens(CONNECTION_ON_accept)
    :: else // no room: it is asked again
    fi
}

// Connection::received()
inline take_mine(slot)
{
    s[me].asked = 0;
    if
    :: frames[slot].kind == reply ->
        if
        :: s[me].state == CONNECTION_request_sent ->
            s[me].peer_epoch = frames[slot].from_epoch;
            s[me].peer_tag = frames[slot].from_tag;
            s[me].peer = frames[slot].from
        :: else
        fi;
        happens(CONNECTION_ON_reply)
    :: frames[slot].kind == ready -> happens(CONNECTION_ON_ready)
    :: frames[slot].kind == disconnect_request -> happens(CONNECTION_ON_disconnect_request)
    :: frames[slot].kind == disconnect_reply -> happens(CONNECTION_ON_disconnect_reply)
    :: else -> // Connection::connected_frame()
        happens(CONNECTION_ON_traffic);
        if
        :: frames[slot].kind == data && ESTABLISHED(me) ->
            assert(frames[slot].to == s[me].id && frames[slot].from == s[me].peer) // R3.6
        :: frames[slot].kind != ack && OVER(me) -> put(disconnect_request)
        :: frames[slot].kind == keep_alive && ESTABLISHED(me) -> put(ack)
        :: else
        fi
    fi
}

// Engine::no_link(): back to the sender goes what it said.
inline answer_no_link(slot)
{
    if
    :: (frames[slot].kind == data || frames[slot].kind == keep_alive ||
        frames[slot].kind == disconnect_request) && ROOM ->
        if
        :: frames[2 * OTHER].kind == 0 -> at = 2 * OTHER
        :: else -> at = 2 * OTHER + 1
        fi;
        frames[at].kind = no_link;
        frames[at].epoch = frames[slot].epoch;
        frames[at].tag = frames[slot].tag;
        at = 0
    :: else
    fi
}

// Engine::take(), to_connection()
inline take(slot)
{
    if
    :: frames[slot].kind == request -> take_request(slot)
    :: frames[slot].kind == no_link ->
        if
        :: s[me].state != CONNECTION_idle && s[me].peer_epoch == frames[slot].epoch &&
           s[me].peer_tag == frames[slot].tag -> happens(CONNECTION_ON_lost)
        :: else
        fi
    :: else ->
        if
#ifdef NO_EPOCH
        :: s[me].state == CONNECTION_idle -> answer_no_link(slot)
#else
        :: s[me].state == CONNECTION_idle || frames[slot].epoch != s[me].epoch -> answer_no_link(slot)
#endif
#ifndef NO_TAG
        :: s[me].state != CONNECTION_idle && frames[slot].epoch == s[me].epoch &&
           frames[slot].tag != s[me].tag -> skip
#endif
        :: else -> take_mine(slot)
        fi
    fi
}

proctype Run(byte me)
{
    byte n, at, action, before;
end:
    do
    :: atomic { // a frame, which the network may lose or repeat
        (frames[2 * me].kind != 0 || frames[2 * me + 1].kind != 0) ->
        if
        :: frames[2 * me].kind != 0 -> n = 2 * me
        :: frames[2 * me + 1].kind != 0 -> n = 2 * me + 1
        fi;
        if
        :: losses > 0 -> losses--; clear(n)
        :: true -> take(n); clear(n)
        :: repeats > 0 -> repeats--; take(n)
        fi;
        n = 0
       }
    :: atomic {
        me == ALICE && attempts > 0 && s[me].state == CONNECTION_idle ->
        attempts--;
        new_end();
        happens(CONNECTION_ON_connect)
       }
    :: atomic {
        ESTABLISHED(me) && volume > 0 && ROOM -> volume--; put(data)
       }
    :: atomic {
        may_disconnect && ESTABLISHED(me) -> may_disconnect = 0; happens(CONNECTION_ON_disconnect)
       }
    :: atomic { // its owner lets it go
        OVER(me) -> forget()
       }
    :: atomic {
        restarts > 0 -> restarts--; s[me].epoch++; s[me].tags = 0; forget()
       }
    :: atomic { // Handshake::repeat()
        QUIET && REPEATS_ITSELF(me) ->
        if
        :: s[me].tries >= TRIES -> happens(CONNECTION_ON_give_up)
        :: else ->
            s[me].tries++;
            if
            :: s[me].state == CONNECTION_request_sent -> put(request)
            :: s[me].state == CONNECTION_reply_sent -> put(reply)
            :: else -> put(disconnect_request)
            fi
        fi
       }
#ifndef NO_KEEP_ALIVE
    :: atomic { // Connection::keep_alive(); of those that go well nothing is to be learnt
        QUIET && ESTABLISHED(me) && !(ESTABLISHED(OTHER) && TOGETHER) ->
        if
        :: s[me].asked >= TRIES -> happens(CONNECTION_ON_lost)
        :: else -> s[me].asked++; put(keep_alive)
        fi
       }
#endif
    od
}

// When nothing more can happen.
active proctype Observer()
{
    atomic {
        s[ALICE].epoch = 1;
        s[BOB].epoch = 1;
        run Run(ALICE);
        run Run(BOB)
    }
    timeout ->
    assert(!REPEATS_ITSELF(ALICE) && !REPEATS_ITSELF(BOB));
    assert(ESTABLISHED(ALICE) == ESTABLISHED(BOB));
    assert(!ESTABLISHED(ALICE) || TOGETHER)
}
