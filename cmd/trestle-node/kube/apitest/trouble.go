package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Then lets the next requests end in this way.
func (a *API) Then(trouble ...func(http.ResponseWriter)) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.trouble = append(a.trouble, trouble...)
}

func status(code int, reason string) map[string]any {
	return map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure", "reason": reason, "code": code, "message": "the double says " + reason}
}

// Fails is an answer that is none.
func Fails(code int, reason, after string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(status(code, reason))
	}
}

// Says is an answer that looks like one, of who knows whom.
func Says(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { fmt.Fprint(w, text) }
}

// Hangs is an answer of which no more comes than this, while the connection stays.
func (a *API) Hangs(after string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err) // a connection of HTTP/1 can be taken
		}
		fmt.Fprint(conn, after)
		a.held = append(a.held, conn)
	}
}

// Begun is how an answer begins of which more is to come: these bytes of a text without a length.
func Begun(text string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(text), text)
}
