package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// readList reads a list one Node after the other, and keeps of each what an object has: a server that remembers all Nodes sends all at once, however small a
// page was asked for, and that text is a hundred times as much. One that is torn is none, and so is what something else than an API server may say, as well as it goes:
// a cluster without Nodes would take from every host what it has.
func readList(text io.Reader) (list *objects, err error) {
	list = new(objects)
	d := json.NewDecoder(text)
	err = members(d, func(name string) error {
		switch name {
		case "kind":
			return d.Decode(&list.Kind)
		case "apiVersion":
			return d.Decode(&list.APIVersion)
		case "metadata":
			return d.Decode(&list.ListMeta)
		case "items":
			return elements(d, func() error {
				var o object
				err := d.Decode(&o)
				if err == nil && o.Metadata.Name == "" {
					err = errors.New("one has no name")
				}
				list.Items = append(list.Items, o)
				return err
			})
		}
		return d.Decode(new(json.RawMessage))
	})
	if err == nil && (list.Kind != "NodeList" || list.APIVersion != "v1" || list.ResourceVersion == "") {
		err = fmt.Errorf("the answer is a %q of %q at %q", list.Kind, list.APIVersion, list.ResourceVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("list of nodes: %w", err)
	}
	return list, nil
}

// members calls each with the name of every member of the object that comes next; it reads the value.
func members(d *json.Decoder, each func(name string) error) error {
	if there, err := begins(d, '{'); err != nil || !there {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err == nil {
			err = each(name.(string)) // a Decoder has nothing else before a colon
		}
		if err != nil {
			return err
		}
	}
	return ends(d)
}

// elements calls each before every element of the array that comes next; it reads it.
func elements(d *json.Decoder, each func() error) error {
	if there, err := begins(d, '['); err != nil || !there {
		return err
	}
	for d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	return ends(d)
}

// begins reads what an object or array begins with; false where there is null instead.
func begins(d *json.Decoder, with json.Delim) (bool, error) {
	token, err := d.Token()
	if err == nil && token != nil && token != with {
		err = fmt.Errorf("expected %v, found %v", with, token)
	}
	return token != nil, torn(err)
}

func ends(d *json.Decoder) error {
	_, err := d.Token()
	return torn(err)
}

// torn takes the end between two tokens for what it is: client-go would take it for the end of all.
func torn(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
