// A provider that knows a schema and nothing else, so that `tofu validate` and `tofu test` with mock_provider work where
// the real provider cannot be had. It reads google-schema.json (the form of `tofu providers schema -json`; extract.py
// makes it) beside itself, talks to no network, and refuses to plan or to apply. What the schema cannot say and the
// provider's documentation states is in given.json.
//
// With SCHEMA_PROVIDER_SERVE it serves every tofu that is told of it (TF_REATTACH_PROVIDERS), where otherwise each tofu
// starts two for each run of a test: it writes that variable into the file of this name, and ends when its standard
// input does.
package main

import (
	"encoding/json"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

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
	options := []tf5server.ServeOpt{}
	if file := os.Getenv("SCHEMA_PROVIDER_SERVE"); file != "" {
		options = append(options, tf5server.WithManagedDebug(), tf5server.WithManagedDebugEnvFilePath(file),
			tf5server.WithManagedDebugReattachConfigTimeout(time.Minute))
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	if err := tf5server.Serve(address, serve, options...); err != nil {
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
