package server

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/trouperaft/troupe"
)

// backupStall is for how long a client may take no bytes of a backup.
const backupStall = 30 * time.Second

// backup answers with a backup. The time of the request is that for its beginning: it
// lasts for as long as the client takes bytes. One that breaks off breaks the connection,
// so that the client knows.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) error {
	local, err := query(r, "local")
	switch {
	case err != nil:
		return err
	case local != "" && local != "true" && local != "false":
		return badRequest("local: %q is not true or false", local)
	case local != "true":
		if _, err := s.raft.ReadIndex(r.Context(), troupe.Linearizable); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.Method == http.MethodHead {
		return nil
	}
	to := &limitedWriter{to: w, connection: http.NewResponseController(w)}
	// A client that goes away is noticed by the next write.
	_, err = s.raft.Backup(context.WithoutCancel(r.Context()), to, troupe.BackupLocal(), troupe.BackupStall(backupStall))
	if err == nil || !to.begun {
		_ = to.connection.SetWriteDeadline(time.Time{})
		return err
	}
	s.logger.Warn("a backup was cut off", "error", err)
	panic(http.ErrAbortHandler)
}

// limitedWriter fails when the client takes no bytes for too long.
type limitedWriter struct {
	to         io.Writer
	connection *http.ResponseController
	begun      bool
}

// Write implements io.Writer.
func (w *limitedWriter) Write(p []byte) (int, error) {
	w.begun = true
	// Not every writer, those of tests for instance, has a deadline to set.
	_ = w.connection.SetWriteDeadline(time.Now().Add(backupStall))
	return w.to.Write(p)
}
