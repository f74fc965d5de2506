// A provider whose resources are files, so that the tests of ./deploy can change one past tofu and let what Google fills
// in move by itself. The folder is FILES_PROVIDER. A resource `files_service` has what people set (image, and traffic,
// which may be left out) and what only the cloud sets (generation).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

const kind = "files_service"

var attributes = []*tfprotov5.SchemaAttribute{
	{Name: "name", Type: tftypes.String, Required: true},
	{Name: "image", Type: tftypes.String, Required: true},
	{Name: "traffic", Type: tftypes.String, Optional: true},
	{Name: "generation", Type: tftypes.String, Computed: true},
}

func schema(attributes []*tfprotov5.SchemaAttribute) *tfprotov5.Schema {
	return &tfprotov5.Schema{Block: &tfprotov5.SchemaBlock{Attributes: attributes}}
}

var resource = schema(attributes)

// The embedded interface is nil: a call that these tests do not need ends the process.
type server struct{ tfprotov5.ProviderServer }

func main() {
	address := "registry.opentofu.org/acme/files"
	if err := tf5server.Serve(address, func() tfprotov5.ProviderServer { return server{} }); err != nil {
		log.Fatal(err)
	}
}

func (server) GetMetadata(
	context.Context, *tfprotov5.GetMetadataRequest,
) (*tfprotov5.GetMetadataResponse, error) {
	return &tfprotov5.GetMetadataResponse{Resources: []tfprotov5.ResourceMetadata{{TypeName: kind}}}, nil
}

func (server) GetProviderSchema(
	context.Context, *tfprotov5.GetProviderSchemaRequest,
) (*tfprotov5.GetProviderSchemaResponse, error) {
	return &tfprotov5.GetProviderSchemaResponse{
		Provider:        schema(nil),
		ResourceSchemas: map[string]*tfprotov5.Schema{kind: resource},
	}, nil
}

func (server) GetResourceIdentitySchemas(
	context.Context, *tfprotov5.GetResourceIdentitySchemasRequest,
) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (server) GetFunctions(
	context.Context, *tfprotov5.GetFunctionsRequest,
) (*tfprotov5.GetFunctionsResponse, error) {
	return &tfprotov5.GetFunctionsResponse{}, nil
}

func (server) PrepareProviderConfig(
	_ context.Context, r *tfprotov5.PrepareProviderConfigRequest,
) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

func (server) ConfigureProvider(
	context.Context, *tfprotov5.ConfigureProviderRequest,
) (*tfprotov5.ConfigureProviderResponse, error) {
	return &tfprotov5.ConfigureProviderResponse{}, nil
}

func (server) StopProvider(
	context.Context, *tfprotov5.StopProviderRequest,
) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func (server) ValidateResourceTypeConfig(
	context.Context, *tfprotov5.ValidateResourceTypeConfigRequest,
) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	return &tfprotov5.ValidateResourceTypeConfigResponse{}, nil
}

func (server) UpgradeResourceState(
	_ context.Context, r *tfprotov5.UpgradeResourceStateRequest,
) (*tfprotov5.UpgradeResourceStateResponse, error) {
	value, err := r.RawState.Unmarshal(resource.ValueType())
	if err != nil {
		return nil, err
	}
	state, err := tfprotov5.NewDynamicValue(value.Type(), value)
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

// What a resource holds; nil for none.
func members(value *tfprotov5.DynamicValue) (map[string]tftypes.Value, error) {
	whole, err := value.Unmarshal(resource.ValueType())
	if err != nil || whole.IsNull() {
		return nil, err
	}
	found := map[string]tftypes.Value{}
	return found, whole.As(&found)
}

func dynamic(members map[string]tftypes.Value) (*tfprotov5.DynamicValue, error) {
	kind := resource.ValueType()
	var content any
	if members != nil {
		content = members
	}
	value, err := tfprotov5.NewDynamicValue(kind, tftypes.NewValue(kind, content))
	return &value, err
}

func path(members map[string]tftypes.Value) string {
	var name string
	if err := members["name"].As(&name); err != nil {
		log.Fatal(err)
	}
	return filepath.Join(os.Getenv("FILES_PROVIDER"), name)
}

func (server) ReadResource(
	_ context.Context, r *tfprotov5.ReadResourceRequest,
) (*tfprotov5.ReadResourceResponse, error) {
	known, err := members(r.CurrentState)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path(known))
	if errors.Is(err, fs.ErrNotExist) {
		state, err := dynamic(nil)
		return &tfprotov5.ReadResourceResponse{NewState: state}, err
	}
	var kept map[string]*string
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil {
		return nil, err
	}
	for name, value := range kept {
		known[name] = tftypes.NewValue(tftypes.String, value)
	}
	state, err := dynamic(known)
	return &tfprotov5.ReadResourceResponse{NewState: state}, err
}

// What only the cloud sets stays as it is until the resource is made anew.
func (server) PlanResourceChange(
	_ context.Context, r *tfprotov5.PlanResourceChangeRequest,
) (*tfprotov5.PlanResourceChangeResponse, error) {
	wanted, err := members(r.ProposedNewState)
	if err != nil {
		return nil, err
	}
	prior, err := members(r.PriorState)
	if err != nil {
		return nil, err
	}
	if wanted != nil && prior == nil {
		wanted["generation"] = tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
	}
	state, err := dynamic(wanted)
	return &tfprotov5.PlanResourceChangeResponse{PlannedState: state}, err
}

func (server) ApplyResourceChange(
	_ context.Context, r *tfprotov5.ApplyResourceChangeRequest,
) (*tfprotov5.ApplyResourceChangeResponse, error) {
	wanted, err := members(r.PlannedState)
	if err != nil {
		return nil, err
	}
	if wanted == nil {
		gone, err := members(r.PriorState)
		if err == nil {
			err = os.Remove(path(gone))
		}
		return &tfprotov5.ApplyResourceChangeResponse{NewState: r.PlannedState}, err
	}
	if !wanted["generation"].IsKnown() {
		wanted["generation"] = tftypes.NewValue(tftypes.String, "1")
	}
	kept := map[string]*string{}
	for name, value := range wanted {
		var text *string
		if err := value.As(&text); err != nil {
			return nil, err
		}
		kept[name] = text
	}
	raw, err := json.Marshal(kept)
	if err == nil {
		err = os.WriteFile(path(wanted), raw, 0o600)
	}
	if err != nil {
		return nil, err
	}
	state, err := dynamic(wanted)
	return &tfprotov5.ApplyResourceChangeResponse{NewState: state}, err
}
