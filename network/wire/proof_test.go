package wire

import (
	"encoding/hex"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
)

func session() Session {
	local := func(n uint64) network.Local {
		return network.Local{Identity: membership.Identity{ID: core.NodeID(n), Incarnation: membership.Incarnation(16 * n)}, StartCounter: 10 * n, Nonce: 1000 * n}
	}
	dialler, listener := NewHello(local(1), core.ClassBulk, 2), NewHello(local(2), core.ClassBulk, 1)
	for i := range ChallengeBytes {
		dialler.Challenge[i], listener.Challenge[i] = byte(i), byte(100+i)
	}
	return NewSession(&dialler, &listener)
}

// TestProofIsBoundToAllOfIt: whatever is changed, the proof counts no more. So a
// hello that is said again, under another challenge, and a proof that is sent
// back are of no use.
func TestProofIsBoundToAllOfIt(t *testing.T) {
	s, id := session(), cluster(7)
	p := s.Prove(RoleDialler, 9, id)
	if !s.Verify(RoleDialler, &p, id) {
		t.Fatal("a good proof does not verify")
	}
	for name, change := range map[string]func(s *Session, role *Role, p *Proof, id *core.ClusterID){
		"the cluster":                    func(_ *Session, _ *Role, _ *Proof, id *core.ClusterID) { id[0]++ },
		"the group":                      func(_ *Session, _ *Role, p *Proof, _ *core.ClusterID) { p.Group++ },
		"the MAC":                        func(_ *Session, _ *Role, p *Proof, _ *core.ClusterID) { p.MAC[31] ^= 1 },
		"the role: it is sent back":      func(_ *Session, role *Role, _ *Proof, _ *core.ClusterID) { *role = RoleListener },
		"the role: it refuses":           func(_ *Session, role *Role, _ *Proof, _ *core.ClusterID) { *role += refusing },
		"the class":                      func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Class = core.ClassControl },
		"the dialler's id":               func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Dialler.ID++ },
		"the dialler's incarnation":      func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Dialler.Incarnation++ },
		"the dialler's counter":          func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Dialler.StartCounter++ },
		"the dialler's nonce":            func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Dialler.Nonce++ },
		"the listener's id":              func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Listener.ID++ },
		"the listener's incarnation":     func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Listener.Incarnation++ },
		"the listener's counter":         func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Listener.StartCounter++ },
		"the listener's nonce":           func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Listener.Nonce++ },
		"the dialler's challenge":        func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.DiallersChallenge[15]++ },
		"the listener's challenge":       func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.ListenersChallenge[0]++ },
		"the sides: it is another's way": func(s *Session, _ *Role, _ *Proof, _ *core.ClusterID) { s.Dialler, s.Listener = s.Listener, s.Dialler },
	} {
		changed, role, proof, id := s, RoleDialler, p, id
		change(&changed, &role, &proof, &id)
		if changed.Verify(role, &proof, id) {
			t.Errorf("another value of %s, and the proof still counts", name)
		}
	}
	// Nobody proves to know of no cluster.
	if none := s.Prove(RoleDialler, 9, core.ClusterID{}); s.Verify(RoleDialler, &none, core.ClusterID{}) {
		t.Error("a proof of no cluster counts")
	}
}

func TestRefusalsHaveProofsOfTheirOwn(t *testing.T) {
	s, id := session(), cluster(7)
	for _, role := range []Role{RoleDialler, RoleListener} {
		refusal, proof := s.ProveRefusal(role, 9, id), s.Prove(role, 9, id)
		if !s.VerifyRefusal(role, &refusal, id) || s.Verify(role, &refusal, id) || s.VerifyRefusal(role, &proof, id) || s.VerifyRefusal(role.Other(), &refusal, id) {
			t.Errorf("role %d: proofs of refusals and others are confused", role)
		}
		if role.Other() == role || role.Other().Other() != role {
			t.Errorf("the other of %d is %d", role, role.Other())
		}
	}
}

// TestProofIsWrittenAsDocumented: this was computed apart, by Python's hmac.
func TestProofIsWrittenAsDocumented(t *testing.T) {
	s := session()
	p := s.Prove(RoleListener, 9, cluster(7))
	if got := hex.EncodeToString(p.MAC[:]); got != proofWanted {
		t.Errorf("got %s, want %s", got, proofWanted)
	}
}

const proofWanted = "9e78635d41f6199f78cddf91a6cd66ad58f75c4697476c91a9e517eac5cd346c"
