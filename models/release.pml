/* SPDX-License-Identifier: Apache-2.0

   One trustee before a hostile log, a hostile network and hostile readers: when does a share leave?

   What docs/proof.md explains: the assumptions, the bounds, what is left out.
   Lines "code:" name the code a step mirrors; tests/models holds that it exists.

   The log is the adversary: it shows two views, A and B, of any entries it likes, at any size,
   old and new, and takes entries without showing them. Its witnesses vouch for view A alone, as
   log.pml proves of honest ones; or (FORKED) for both. Other trustees are part of it: a trustee
   shares nothing with them. Entries are written once, as a repeat has no effect.

   Variants (-D):
     FORKED          the witnesses are bad: both views count
     STATE_LOST      state.db may vanish, or be put back, at any restart
     OWN_LOST        own.db may vanish, or be put back, at any restart
     EVIDENCE_LOST   the evidence folder may vanish at any restart
     ASKED           the trustee asks the witnesses past the log how far it has come, once after
                     each restart (trustee/heads.py)
   Guards taken out, each to be found by the checker:
     BELIEVES        the trustee believes its own file that it saw its grant entry before
     UNWITNESSED     the trustee takes a checkpoint that no quorum cosigned
     NO_FOLLOW       the trustee believes an inclusion proof and reads nothing
     FORGETFUL       the trustee answers before what it followed is on disk
     NO_INTENT       the grant entry goes to the log before its bytes are on disk
     UNSEEN          the trustee believes the log's word that it took the grant entry
     UNCHECKED       the trustee does not look again at what came before its grant entry
     WARM            being frozen is kept in memory alone
     NO_FREEZE       being frozen is not asked
     UNLOCKED        freezing does not wait for the answer under way
     ANY_RECIPIENT   the recipient is what the asker says, not what the leaf says
     NO_PIN          the recipient of a leaf is not remembered (alone it harms nothing)
     REACH           not a guard: claims that no share ever leaves                            */

#define NONE 0
#define R 1                  /* the request */
#define G 2                  /* our grant entry for it */
#define H 3                  /* our grant entry for it, under other bytes */
#define E 4                  /* the capsule is erased */
#define LONG 4               /* entries a view may have */

byte view[8];                /* A at 0..3, B at 4..7 */
byte length[2];
bool offered[5];             /* entries that left the trustee: nobody else can sign them */
bool locked;                 /* home/lock: code: src/incamera/trustee/decide.py::Trustee.decide_many "durable.lock" */

byte d_view, d_size;         /* DURABLE, state.db: the tree it follows */
byte d_intent = NONE;        /* DURABLE, own.db: the bytes of its grant entry */
bool d_logged;               /* DURABLE, own.db: it saw that entry in the log */
byte d_pin = NONE;           /* DURABLE, own.db: the leaf's recipient */
bool d_frozen;               /* DURABLE, evidence/: proof of a fork */

bool g_frozen;               /* ghost: it held proof, once */
byte g_recipient = NONE;     /* ghost: whom a share was sealed to */
byte g_view, g_size;         /* ghost: the tree under which a share left last */

#define at(c, i, e)   (view[(c) * LONG + (i)] == (e))
#define in(c, n, e)   (((n) > 0 && at(c, 0, e)) || ((n) > 1 && at(c, 1, e)) || \
                       ((n) > 2 && at(c, 2, e)) || ((n) > 3 && at(c, 3, e)))
#define eq(i)         (view[i] == view[LONG + (i)])
#define same(c, d, n) ((c) == (d) || (((n) < 1 || eq(0)) && ((n) < 2 || eq(1)) && \
                                      ((n) < 3 || eq(2)) && ((n) < 4 || eq(3))))
#define forked        (!same(0, 1, (length[0] < length[1] -> length[0] : length[1])))
#define read(e)       in(d_view, d_size, e)

/* code: src/incamera/trustee/rules.py::witnessed "policy.check" */
#if defined(FORKED) || defined(UNWITNESSED)
#define believed(c) true
#else
#define believed(c) ((c) == 0)
#endif
#ifdef FORKED
#define vouched(c, n) true
#else
#define vouched(c, n) (same(0, c, n) && length[0] >= (n))
#endif

/* The log writes any entry to any view: requests and erasures as it likes, grants if it has them. */
proctype log() {
  do
  :: atomic { length[0] < LONG && !in(0, length[0], R) -> view[length[0]] = R; length[0]++ }
  :: atomic { length[1] < LONG && !in(1, length[1], R) -> view[LONG + length[1]] = R; length[1]++ }
  :: atomic { length[0] < LONG && !in(0, length[0], E) -> view[length[0]] = E; length[0]++ }
  :: atomic { length[1] < LONG && !in(1, length[1], E) -> view[LONG + length[1]] = E; length[1]++ }
  :: atomic { offered[G] && length[0] < LONG && !in(0, length[0], G) -> view[length[0]] = G; length[0]++ }
  :: atomic { offered[G] && length[1] < LONG && !in(1, length[1], G) -> view[LONG + length[1]] = G; length[1]++ }
  :: atomic { offered[H] && length[0] < LONG && !in(0, length[0], H) -> view[length[0]] = H; length[0]++ }
  :: atomic { offered[H] && length[1] < LONG && !in(1, length[1], H) -> view[LONG + length[1]] = H; length[1]++ }
  od
}

/* Somebody hands in two notes that contradict each other; the log's own signature convicts it.
   code: src/incamera/trustee/decide.py::Trustee.accuse "self.follower.freeze" */
proctype accuser() {
#ifdef UNLOCKED
  atomic { forked && !d_frozen -> d_frozen = true; g_frozen = true }
#else
  atomic { forked && !d_frozen && !locked -> d_frozen = true; g_frozen = true }
#endif
}

/* Follow to (c, n), or stay. An old checkpoint, or one the entries contradict, changes nothing;
   another root for our size is kept as proof, for good.
   code: src/incamera/ledger/follower.py::Follower.follow "self.state.transaction"
   code: src/incamera/ledger/follower.py::Follower._refuse_rollback "checkpoint.size < self.state.size"
   code: src/incamera/ledger/follower.py::Follower._refuse_fork "self.freeze" */
#define to(c, n) (believed(c) && d_size < (n) && length[c] >= (n) && same(d_view, c, d_size))
#define stand(c, n) d_size = n; d_view = (same(0, c, n) && length[0] >= n -> 0 : c)
inline follow() {
  atomic {
    if
    :: true
    :: to(0, 1) -> stand(0, 1)
    :: to(0, 2) -> stand(0, 2)
    :: to(0, 3) -> stand(0, 3)
    :: to(0, 4) -> stand(0, 4)
    :: to(1, 1) -> stand(1, 1)
    :: to(1, 2) -> stand(1, 2)
    :: to(1, 3) -> stand(1, 3)
    :: to(1, 4) -> stand(1, 4)
    :: believed(1 - d_view) && length[1 - d_view] >= d_size && !same(0, 1, d_size) ->
         d_frozen = true; g_frozen = true; goto refuse
    fi
  }
}

/* THE CLAIMS, where a share leaves. */
inline release(k) {
  d_step {
    /* A witnessed entry: the request, and our own grant, in the tree we follow on disk. */
    assert(vouched(d_view, d_size));
    assert(read(R));
    assert(d_intent != NONE && read(d_intent));
    /* No two recipients per request. */
    assert(g_recipient == NONE || g_recipient == k);
    g_recipient = k;
    /* After freeze nothing is released. */
    assert(!g_frozen);
    /* What was erased before our grant entry stays closed. */
    assert(!read(E) || !(
      (at(d_view, 0, E)) ||
      (at(d_view, 1, E) && !in(d_view, 1, d_intent)) ||
      (at(d_view, 2, E) && !in(d_view, 2, d_intent)) ||
      (at(d_view, 3, E) && !in(d_view, 3, d_intent))));
    /* Never under two trees that contradict each other. */
    assert(same(g_view, d_view, (g_size < d_size -> g_size : d_size)));
    g_view = d_view; g_size = d_size;
#ifdef REACH
    assert(false);
#endif
  }
}

#define CRASH :: goto boot

proctype trustee() {
  byte k = NONE;
#ifdef ASKED
  bool asked;
#endif

boot:
  atomic {
    k = NONE; locked = false;
#ifdef ASKED
    asked = false;
#endif
#ifdef FORGETFUL
    d_view = 0; d_size = 0;
#endif
#ifdef NO_INTENT
    d_intent = NONE; d_logged = false;
#endif
#ifdef WARM
    d_frozen = false;
#endif
#ifdef STATE_LOST
    if
    :: d_size = 0; d_view = 0
    :: d_size > 1 -> d_size = d_size - 1
    :: true
    fi;
#endif
#ifdef OWN_LOST
    if
    :: d_intent = NONE; d_logged = false; d_pin = NONE
    :: d_logged = false
    :: true
    fi;
#endif
#ifdef EVIDENCE_LOST
    if
    :: d_frozen = false
    :: true
    fi;
#endif
  }
  do
  /* A request comes, in any order, as often as anybody likes. Asked for whom? Any key: 1 is the
     one in the leaf. */
#ifdef NO_FREEZE
  :: atomic { !locked -> locked = true }
#else
  /* code: src/incamera/trustee/decide.py::Trustee.decide_many "if self.frozen" */
  :: atomic { !locked && !d_frozen -> locked = true }
#endif

     /* code: src/incamera/trustee/batch.py::Batch.decide "self._all(self._follow)" */
#ifdef NO_FOLLOW
     if
     :: (believed(0) && in(0, length[0], R)) || (believed(1) && in(1, length[1], R))
     :: goto refuse
     fi;
#else
     follow();
#ifdef ASKED
     /* code: src/incamera/trustee/heads.py::Heads.hold "self._reach" */
     if
     :: asked
     :: atomic { !asked && d_view == 0 && d_size == length[0] -> asked = true }
     :: !asked && !(d_view == 0 && d_size == length[0]) -> goto refuse
     fi;
#endif
     if
     :: true
     CRASH
     fi;
     /* code: src/incamera/trustee/rules.py::read_by_us "state.request"
        code: src/incamera/trustee/rules.py::not_erased "state.erased" */
     if
     :: read(R) && !read(E)
     :: else -> goto refuse
     fi;
#endif

     /* code: src/incamera/trustee/batch.py::Batch._reseal "case.entry.recipient"
        code: src/incamera/trustee/memory.py::Memory.pin_recipient "INSERT INTO recipients" */
#ifdef ANY_RECIPIENT
     if
     :: k = 1
     :: k = 2
     fi;
#else
     k = 1;
#endif
#ifndef NO_PIN
     if
     :: atomic { d_pin == NONE -> d_pin = k }
     :: d_pin == k
     :: d_pin != NONE && d_pin != k -> goto refuse
     fi;
#endif

     /* A grant entry made anew has other bytes (its time).
        code: src/incamera/trustee/batch.py::Batch._intend "memory.transaction" */
     if
     :: d_intent != NONE
     :: atomic { d_intent == NONE && !offered[G] -> d_intent = G }
     :: atomic { d_intent == NONE && offered[G] && !offered[H] -> d_intent = H }
     :: d_intent == NONE && offered[H] -> goto refuse    /* the bound: twice is enough to see */
     CRASH
     fi;

     /* code: src/incamera/trustee/batch.py::Batch._remember "intent.index" */
#ifdef BELIEVES
#define logged d_logged
#else
#define logged (d_logged && read(d_intent))
#endif
     if
     :: logged
     :: !logged && read(d_intent)
     :: !logged && !read(d_intent) ->
          /* code: src/incamera/trustee/trace.py::append_unlogged "desk.append" */
          d_step {
            offered[d_intent] = true;
#if !defined(OWN_LOST)
            /* However often it died, one request has one grant entry: counted once. */
            assert(!offered[G] || !offered[H]);
#endif
          }
          if
          :: true
          CRASH
          fi;
          follow();
#ifndef UNSEEN
          /* code: src/incamera/trustee/batch.py::Batch._answer "case.intents <= self._indices" */
          if
          :: read(d_intent)
          :: else -> goto refuse
          fi
#endif
     fi;
     if
     :: d_logged = true
     CRASH
     fi;

#ifndef UNCHECKED
     /* code: src/incamera/trustee/batch.py::Batch._answer "self._checks.again"
        code: src/incamera/trustee/checks.py::Checks.again "rules.not_erased" */
     if
     :: !read(E)
     :: else -> goto refuse
     fi;
#endif
     /* code: src/incamera/trustee/batch.py::Batch._answer "Grant.make" */
     release(k);
refuse:
     atomic { k = NONE; locked = false }
  CRASH
  od
}

init { atomic { run log(); run accuser(); run trustee() } }
