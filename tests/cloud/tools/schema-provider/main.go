// A provider that knows a schema and nothing else, so that `tofu validate` and `tofu test` with mock_provider work where
// the real provider cannot be had. It reads google-schema.json (the form of `tofu providers schema -json`; extract.py
// makes it) beside itself, talks to no network, and refuses to plan or to apply. What the schema cannot say and the
// provider's documentation states is in given.json.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
)

func main() {
	log.SetFlags(0)
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	name := strings.TrimPrefix(filepath.Base(program), "terraform-provider-")
	address := "registry.opentofu.org/hashicorp/" + name
	all, err := readSchemas(filepath.Join(filepath.Dir(program), "..", "google-schema.json"), address)
	if err != nil {
		log.Fatal(err)
	}
	given, err := readGiven()
	if err != nil {
		log.Fatal(err)
	}
	if err := all.markSensitive(given.Sensitive); err != nil {
		log.Fatal(err)
	}
	serve := func() tfprotov5.ProviderServer { return server{all: all, rules: given.Rules} }
	if err := tf5server.Serve(address, serve); err != nil {
		log.Fatal(err)
	}
}

func readSchemas(path, address string) (schemas, error) {
	var file struct {
		Schemas map[string]schemas `json:"provider_schemas"`
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return schemas{}, err
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return schemas{}, err
	}
	all, known := file.Schemas[address]
	if !known {
		log.Fatalf("%s has no schema of %s.", path, address)
	}
	return all, nil
}
