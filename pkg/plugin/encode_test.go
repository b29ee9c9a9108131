package plugin

import (
	"bytes"
	"net"
	"reflect"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"pgregory.net/rapid"
)

// What is printed is what the library prints, to the byte, whatever of a result's fields is set: those that the library will get, too.
func TestEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r types100.Result
		fill(t, reflect.ValueOf(&r).Elem())
		r.CNIVersion = rapid.SampledFrom([]string{"1.0.0", "1.1.0"}).Draw(t, "version")
		var want bytes.Buffer
		failed := r.PrintTo(&want)
		got, ok := encode(&r)
		if ok != (failed == nil) {
			t.Fatalf("printed: %v, the library says %v", ok, failed)
		}
		if ok && !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("printed\n%s\nwant\n%s", got, want.Bytes())
		}
	})
}

// fill gives every field a value, or none.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Interface().(type) {
	case net.IPNet:
		v.Set(reflect.ValueOf(network(t)))
		return
	case net.IP:
		v.Set(reflect.ValueOf(address(t)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 3).Draw(t, "length"), 3))
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.Pointer {
				e.Set(reflect.New(e.Type().Elem()))
				fill(t, e.Elem())
			} else {
				fill(t, e)
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[a-z0-9./:]{1,12}`), rapid.String()).Draw(t, "text"))
	case reflect.Int:
		v.SetInt(int64(rapid.OneOf(rapid.Just(0), rapid.IntRange(-9, 1<<32)).Draw(t, "number")))
	default:
		t.Fatalf("a field of kind %s: teach this test, and encode, what it is", v.Kind())
	}
}

func address(t *rapid.T) net.IP {
	length := rapid.SampledFrom([]int{0, 4, 16, 4, 16, 4, 16, 7}).Draw(t, "length")
	return rapid.SliceOfN(rapid.Byte(), length, length).Draw(t, "address")
}

func network(t *rapid.T) net.IPNet {
	bits := rapid.SampledFrom([]int{32, 128}).Draw(t, "bits")
	ip := rapid.SliceOfN(rapid.Byte(), bits/8, bits/8).Draw(t, "network")
	return net.IPNet{IP: ip, Mask: net.CIDRMask(rapid.IntRange(0, bits).Draw(t, "ones"), bits)}
}
