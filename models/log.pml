/* SPDX-License-Identifier: Apache-2.0

   A log and its witnesses: which trees can ever look published to anybody?

   What docs/proof.md explains: the assumptions, the bounds, what is left out.
   Lines "code:" name the code a step mirrors; tests/models holds that it exists.

   A tree is a number: 1 is the empty tree, 2t+v is tree t with entry v behind it. So the tree
   says all that is in it, as a root does under a hash without collisions. The network is a set
   of all that was ever said: messages come late, twice, in any order, or never.

   Variants (-D):
     FORKING         the log's key signs whatever is good for a fork; else: the log of the code
     LOG_RESTORED    the log's disk may be put back to what it held earlier
     RESTORED        witness 0's disk may be put back to what it held earlier
     BAD             witness 0 cosigns everything
     NW, QUORUM      how many witnesses, and how many make a checkpoint count
   Guards taken out, each to be found by the checker:
     ANSWERS_FIRST   the witness answers, then writes
     NO_LOCK         the witness reads, compares and writes without its lock
     NO_COMPARE      the witness does not compare the old tree with its own
     SIGNS_FIRST     the log signs, then writes the batch
     NO_BATCH        the log writes no batch file before its tiles and its tree
     UNCONFIRMED     the restarted log appends before a quorum confirmed its tree
     REPLAYED        the log takes a cosignature from before its restart for a confirmation
     ACKS_FIRST      the log answers before the batch is written
     FEW             the log publishes under one cosignature less than the quorum
     CONVICTED       not a guard: claims that a log put back never signs two trees of one size
     REACH           not a guard: claims that nothing is ever published at the full size        */

#ifndef NW
#define NW 3
#endif
#ifndef QUORUM
#define QUORUM 2
#endif
#ifndef SIZE
#define SIZE 2               /* entries at most, 1 or 2: trees 1, 2..3, 4..7 */
#endif
#define TREES (1 << (SIZE + 1))
#define NONE 0

#define size(t)       ((t) < 2 -> 0 : ((t) < 4 -> 1 : 2))
#define extends(a, b) (size(b) >= size(a) && ((b) >> (size(b) - size(a))) == (a))
#define bit(t)        (1 << (t))
#define has(set, t)   ((set) & bit(t))
#if NW == 3
#define ALL(what) (what(0) + what(1) + what(2))
#else
#define ALL(what) (what(0) + what(1) + what(2) + what(3))
#endif
#ifdef FEW
#define ENOUGH (QUORUM - 1)
#else
#define ENOUGH QUORUM
#endif

int said = bit(1);           /* trees the log signed, ever: anybody may show them to a witness */
int cosigned[NW];            /* cosignatures that left each witness, ever */
byte w_last[NW] = 1;         /* DURABLE: the witness's file "checkpoint" */
byte asked = NONE;           /* the tree the running log waits to have cosigned */
bool heard[NW];              /* answers it got in this run */
int published = bit(1);      /* ghost: the trees the log ever published */
byte acked = 1;              /* ghost: the tree of the last answered append */

/* What anybody accepts: signed, and cosigned by a quorum.
   code: src/incamera/tlog/policy.py::Policy.check "self.quorum_met" */
#define cosigned_u(i) (has(cosigned[i], u) -> 1 : 0)
#define counts (has(said, u) && ALL(cosigned_u) >= QUORUM)

/* THE CLAIM: trees that count lie on one line, so no two of one size differ, and whoever
   followed one can follow the next; and what was acknowledged lies on it too. */
inline claim(t) {
  u = t;
  if
  :: counts ->
       assert(extends(acked, t) || extends(t, acked));
       u = 1;
       do
       :: u < TREES -> assert(!counts || extends(u, t) || extends(t, u)); u++
       :: else -> break
       od
  :: else
  fi;
  u = 0
}

/* A cosignature leaves. A running log that waits for it hears it, and may still do nothing. */
inline answer(me, t) {
  d_step {
    cosigned[me] = cosigned[me] | bit(t);
    heard[me] = heard[me] || asked == t;
    claim(t)
  }
}

#ifdef NO_COMPARE
#define FITS(x) (x < TREES && has(said, x))
#else
#define FITS(x) (x < TREES && has(said, x) && extends(w_last[me], x))
#endif

/* Any tree that was ever signed is shown, with the right old size and the right proof; with
   others the answer is 409 or 422, and nothing changes.
   code: src/incamera/tlog/witness.py::Witness._advance "verify_consistency" */
inline check(t) {
  if
  :: FITS(1) -> t = 1
  :: FITS(2) -> t = 2
  :: FITS(3) -> t = 3
  :: FITS(4) -> t = 4
  :: FITS(5) -> t = 5
  :: FITS(6) -> t = 6
  :: FITS(7) -> t = 7
  fi
}

/* One thread of a witness; it may die between any two steps.
   code: src/incamera/tlog/witness.py::Witness.add_checkpoint "durable.lock"
   code: src/incamera/tlog/witness.py::Witness._advance "durable.write" */
proctype witness(byte me) {
  byte t = NONE, u = 0;
  do
#ifdef ANSWERS_FIRST
  :: atomic { check(t); answer(me, t) };
     if
     :: atomic { w_last[me] = t; t = NONE }
     :: t = NONE                                     /* it died here */
     fi
#else
#ifdef NO_LOCK
  :: check(t);
     w_last[me] = t;                                 /* and not at once: another thread came */
#else
  :: atomic { check(t); w_last[me] = t };
#endif
     if
     :: atomic { answer(me, t); t = NONE }
     :: t = NONE                                     /* it died here, or its answer is lost */
     fi
#endif
#ifdef RESTORED
  :: atomic { me == 0 && w_last[0] > 1 -> w_last[0] = w_last[0] >> 1 }
#endif
  od
}

#ifdef BAD
/* A witness that cosigns whatever is shown to it: so it never moves from the empty tree. */
proctype bad() {
  byte t = NONE, u = 0, me = 0;
  do
  :: atomic { check(t); answer(me, t); t = NONE }
  od
}
#endif

#ifndef FORKING
byte d_batch = NONE;         /* DURABLE: state/batch, as the tree that it makes */
byte d_tree = 1;             /* DURABLE: state/tree */
byte d_published = 1;        /* DURABLE: public/checkpoint */
#define CRASH  :: goto boot

/* Two trees of one size must never be signed: such a pair convicts the log for good. A log put
   back to before it signed what it had not published yet cannot know that it did (CONVICTED,
   see docs/proof.md); but what it published it learns from the witnesses.
   code: src/incamera/tlog/log.py::Log._publish "sign(" */
#if defined(LOG_RESTORED) && !defined(CONVICTED)
#define known(u) has(published, u)
#else
#define known(u) has(said, u)
#endif
inline signs(t) {
  d_step {
    said = said | bit(t);
    u = 1;
    do
    :: u < TREES -> assert(!known(u) || u == t || size(u) != size(t)); u++
    :: else -> break
    od;
    u = 0
  }
}

inline forget() {
  d_step {
    confirmed = false; asked = NONE; v = NONE;
    do
    :: u < NW -> heard[u] = false; u++
    :: else -> break
    od;
    u = 0
  }
}

/* code: src/incamera/tlog/cosigners.py::Witnesses._quorum "quorum_met" */
#ifdef REPLAYED
#define heard_by(i) (heard[i] || has(cosigned[i], d_tree) -> 1 : 0)
#else
#define heard_by(i) (heard[i] -> 1 : 0)
#endif

/* code: src/incamera/tlog/log.py::Log.append "return Appended" */
inline acknowledge(t) {
  d_step { assert(extends(acked, t)); acked = t; u = t; assert(counts); u = 0 }
}

/* The log as it is coded: one writer under state/lock, which may die between any two writes.
   code: src/incamera/tlog/deciding.py::Alone.held "durable.lock" */
proctype writer() {
  byte v = NONE, u = 0;
  bool confirmed = false;

boot:
  forget();
#ifdef LOG_RESTORED
  do
  :: atomic {                                        /* one batch further back, all files alike */
       d_tree > 1 -> d_tree = d_tree >> 1; d_batch = d_tree;
       if
       :: d_published > d_tree -> d_published = d_tree
       :: else
       fi
     }
  :: break
  od;
#endif
  /* code: src/incamera/tlog/log.py::Log._load "batch.first == there" */
  if
  :: atomic { d_batch != NONE && (d_batch >> 1) == d_tree -> d_tree = d_batch }
  :: else
  fi;

  do
  :: d_published != d_tree || !confirmed ->
       /* code: src/incamera/tlog/log.py::Log._publish "self._witnesses.cosign" */
#ifdef UNCONFIRMED
       if
       :: d_published == d_tree -> confirmed = true; goto next
       :: else
       fi;
#endif
publish:
       signs(d_tree);
       if
       :: asked = d_tree
       CRASH
       fi;
       do
       :: ALL(heard_by) >= ENOUGH -> break
       CRASH
       od;
       /* code: src/incamera/tlog/log.py::Log._publish "durable.write" */
       atomic {
         d_published = d_tree; published = published | bit(d_tree); confirmed = true; asked = NONE
       }
#ifdef REACH
       assert(size(d_published) < SIZE);
#endif
       if
       :: acknowledge(d_published); forget(); confirmed = true
       CRASH                                         /* published, but the answer is lost */
       fi;
next:  skip
  :: d_published == d_tree && confirmed && size(d_tree) < SIZE ->
       /* code: src/incamera/tlog/deciding.py::Alone.decide "batch.write" */
       if
       :: v = d_tree * 2
       :: v = d_tree * 2 + 1
       fi;
#ifdef ACKS_FIRST
       acknowledge(v);
#endif
#ifdef SIGNS_FIRST
       signs(v);
#endif
       if
#ifdef NO_BATCH
       :: signs(v)                                   /* its tiles are there for all to read */
#else
       :: d_batch = v
#endif
       CRASH
       fi;
       /* code: src/incamera/tlog/deciding.py::Alone.integrated "tree.write" */
       if
       :: atomic { d_tree = v; v = NONE }
       CRASH
       fi;
       goto publish
  CRASH
  od
}
#endif

init {
  atomic {
    byte i;
#ifdef FORKING
    said = (1 << TREES) - 2;
#endif
    for (i : 0 .. NW - 1) { cosigned[i] = bit(1) }
#ifdef BAD
    run bad();
    i = 1;
#else
    i = 0;
#endif
    do
    :: i < NW ->
         run witness(i);
#ifdef NO_LOCK
         run witness(i);
#endif
         i++
    :: else -> break
    od;
#ifndef FORKING
    run writer()
#endif
  }
}
