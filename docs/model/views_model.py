#!/usr/bin/env python3
"""Explicit-state check of attaching and detaching a view against allocation and free (docs/MODEL.md).

One page, a kernel view and one program view that comes and goes, two CPUs with one TLB entry per view, at most OPS
operations in all, every interleaving of their atomic steps. A TLB may cache any translation that is reachable through
its view at any moment and forgets it only when flushed. Sequentially consistent: orderings are loom's business.

    views_model.py 5                      five operations
    views_model.py 4 BREAKAGE             with a rule broken; must report a violation. Breakages: linkfirst (attach
                                          links before it lists), unlistfirst (detach unlists before its flush),
                                          readfirst (free reads the list of views before S4 is visible, which is what
                                          exclusives without a full barrier allow)

Whoever changes the protocol changes it here first. Exit status 0: all states hold; 1: a violation, with the shortest trace.
Steps: A alloc, F free, AT attach, DT detach. Slots: V vacant, M<f> mapped.
"""
import sys
from collections import deque

OPS = int(sys.argv[1])
BREAK = sys.argv[2] if len(sys.argv) > 2 else ''
if BREAK not in ('', 'linkfirst', 'unlistfirst', 'readfirst'):
    print(f'no such breakage: {BREAK}', file=sys.stderr)
    sys.exit(2)
N = 2
IDLE = ('idle', None, 0, None)
# claimed, slot, kernel-view TLB per CPU, program-view TLB per CPU, free frames, linked, listed, attach or detach under
# way, CPUs (step, datum, flush index, list as free read it), operations left
INIT = (0, 'V', (None,) * N, (None,) * N, frozenset('01'), 0, 0, 0, (IDLE,) * N, OPS)


def put(entries, c, value):
    return entries[:c] + (value,) + entries[c + 1:]


def successors(state):
    cl, slot, kernel, program, pool, linked, listed, busy, cpus, ops = state
    out = []
    t = slot[1:] if slot[0] == 'M' else None
    for c in range(N):
        if t and kernel[c] is None:
            out.append((cl, slot, put(kernel, c, t), program, pool, linked, listed, busy, cpus, ops))
        if t and linked and program[c] is None:
            out.append((cl, slot, kernel, put(program, c, t), pool, linked, listed, busy, cpus, ops))
    for c in range(N):
        pc, d, fi, views = cpus[c]

        def go(npc, nd=None, nfi=0, nviews=None, cl=cl, slot=slot, kernel=kernel, program=program, pool=pool,
               linked=linked, listed=listed, busy=busy, ops=ops):
            out.append((cl, slot, kernel, program, pool, linked, listed, busy, put(cpus, c, (npc, nd, nfi, nviews)), ops))

        if pc == 'idle':
            if ops:
                o = ops - 1
                if pool:
                    f = min(pool)
                    go('A1', f, pool=pool - {f}, ops=o)
                go('F0', ops=o)
                if not busy and not listed and not linked:
                    go('AT1', busy=1, ops=o)
                if not busy and listed and linked:
                    go('DT1', busy=1, ops=o)
        # alloc: claim, install
        elif pc == 'A1':
            go('A2', d, cl=1) if not cl else go('idle', pool=pool | {d})
        elif pc == 'A2':
            assert slot == 'V', ('alloc met', slot)
            go('idle', slot='M' + d)                                        # S2
        # free: look, S4, read the list of views, shootdown in each, frame back, un-claim
        elif pc == 'F0':
            if slot[0] == 'M':
                go('F1', slot, 0, listed if BREAK == 'readfirst' else None)
            else:
                go('idle')
        elif pc == 'F1':
            if slot == d:
                go('F3' if BREAK == 'readfirst' else 'F2', d[1:], 0, views, slot='V')   # S4
            else:
                go('idle')
        elif pc == 'F2':
            go('F3', d, 0, listed)
        elif pc == 'F3':
            if fi < N:
                go('F3', d, fi + 1, views, kernel=put(kernel, fi, None),
                   program=put(program, fi, None) if views else program)
            else:
                go('F4', d)
        elif pc == 'F4':
            go('F5', pool=pool | {d})
        elif pc == 'F5':
            go('idle', cl=0)
        # attach: into the list, then link
        elif pc == 'AT1':
            go('AT2', linked=1) if BREAK == 'linkfirst' else go('AT2', listed=1)
        elif pc == 'AT2':
            go('idle', linked=1, listed=1, busy=0)
        # detach: unlink, flush the whole view, then out of the list
        elif pc == 'DT1':
            go('DT2', linked=0)
        elif pc == 'DT2':
            go('DT3', listed=0) if BREAK == 'unlistfirst' else go('DT3')
        elif pc == 'DT3':
            if fi < N:
                go('DT3', None, fi + 1, program=put(program, fi, None))
            else:
                go('idle', listed=0, busy=0)
    return out


def violation(state):
    slot, kernel, program, pool = state[1:5]
    for x in kernel + program:
        if x in pool:
            return f'I5: frame {x} is free, a TLB has it'
        if slot[0] == 'M' and x not in (None, slot[1:]):
            return f'I2: slot {slot}, a TLB has {x}'


def at_rest(state):
    """What must hold once every operation has ended."""
    cl, slot, _, program, pool, linked, listed, *_ = state
    if len(pool) + (slot[0] == 'M') != 2:
        return 'a frame is lost'
    if cl != (slot[0] == 'M'):
        return 'a page number is lost'
    if linked != listed:
        return 'a view is linked but not listed, or listed but not linked'
    if not linked and any(program):
        return 'the view is gone, a TLB has its page'


def report(why, state, seen):
    print('VIOLATION', why)
    steps = []
    while state:
        steps.append(state)
        state = seen[state]
    print('\n'.join(str(s) for s in reversed(steps)))
    sys.exit(1)


seen, todo = {INIT: None}, deque([INIT])
while todo:
    s = todo.popleft()
    why = violation(s) or (at_rest(s) if all(c == IDLE for c in s[8]) else None)
    if why:
        report(why, s, seen)
    for n in successors(s):
        if n not in seen:
            seen[n] = s
            todo.append(n)
print(f'{len(seen)} states hold')
