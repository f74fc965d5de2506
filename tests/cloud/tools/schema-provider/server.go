package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
)

// The calls that validate and a mocked test make. The embedded interface is nil: any other call ends the process, which
// tofu reports as a crash of the provider.
type server struct {
	tfprotov5.ProviderServer
	all   schemas
	rules map[string]rules
}

func refuse(why string) []*tfprotov5.Diagnostic {
	return []*tfprotov5.Diagnostic{
		{Severity: tfprotov5.DiagnosticSeverityError, Summary: "Schema-only provider", Detail: why},
	}
}

func (s server) GetMetadata(
	context.Context, *tfprotov5.GetMetadataRequest,
) (*tfprotov5.GetMetadataResponse, error) {
	out := &tfprotov5.GetMetadataResponse{
		ServerCapabilities: &tfprotov5.ServerCapabilities{GetProviderSchemaOptional: true},
	}
	for _, name := range sortedKeys(s.all.Resources) {
		out.Resources = append(out.Resources, tfprotov5.ResourceMetadata{TypeName: name})
	}
	for _, name := range sortedKeys(s.all.Data) {
		out.DataSources = append(out.DataSources, tfprotov5.DataSourceMetadata{TypeName: name})
	}
	return out, nil
}

func (s server) GetProviderSchema(
	context.Context, *tfprotov5.GetProviderSchemaRequest,
) (*tfprotov5.GetProviderSchemaResponse, error) {
	out := &tfprotov5.GetProviderSchemaResponse{
		Provider:           s.all.Provider.proto(),
		ResourceSchemas:    map[string]*tfprotov5.Schema{},
		DataSourceSchemas:  map[string]*tfprotov5.Schema{},
		ServerCapabilities: &tfprotov5.ServerCapabilities{GetProviderSchemaOptional: true},
	}
	for name, kind := range s.all.Resources {
		out.ResourceSchemas[name] = kind.proto()
	}
	for name, kind := range s.all.Data {
		out.DataSourceSchemas[name] = kind.proto()
	}
	return out, nil
}

func (s server) GetResourceIdentitySchemas(
	context.Context, *tfprotov5.GetResourceIdentitySchemasRequest,
) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (s server) GetFunctions(
	context.Context, *tfprotov5.GetFunctionsRequest,
) (*tfprotov5.GetFunctionsResponse, error) {
	return &tfprotov5.GetFunctionsResponse{}, nil
}

func (s server) PrepareProviderConfig(
	_ context.Context, r *tfprotov5.PrepareProviderConfigRequest,
) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

func (s server) ConfigureProvider(
	context.Context, *tfprotov5.ConfigureProviderRequest,
) (*tfprotov5.ConfigureProviderResponse, error) {
	return &tfprotov5.ConfigureProviderResponse{}, nil
}

func (s server) StopProvider(
	context.Context, *tfprotov5.StopProviderRequest,
) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

func (s server) ValidateResourceTypeConfig(
	_ context.Context, r *tfprotov5.ValidateResourceTypeConfigRequest,
) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	found := check(s.all.Resources[r.TypeName], s.rules[r.TypeName], r.Config)
	return &tfprotov5.ValidateResourceTypeConfigResponse{Diagnostics: found}, nil
}

func (s server) ValidateDataSourceConfig(
	_ context.Context, r *tfprotov5.ValidateDataSourceConfigRequest,
) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	found := check(s.all.Data[r.TypeName], nil, r.Config)
	return &tfprotov5.ValidateDataSourceConfigResponse{Diagnostics: found}, nil
}

func (s server) UpgradeResourceState(
	_ context.Context, r *tfprotov5.UpgradeResourceStateRequest,
) (*tfprotov5.UpgradeResourceStateResponse, error) {
	value, err := r.RawState.Unmarshal(s.all.Resources[r.TypeName].proto().ValueType())
	if err != nil {
		return &tfprotov5.UpgradeResourceStateResponse{Diagnostics: refuse(err.Error())}, nil
	}
	state, err := tfprotov5.NewDynamicValue(value.Type(), value)
	return &tfprotov5.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

func (s server) PlanResourceChange(
	context.Context, *tfprotov5.PlanResourceChangeRequest,
) (*tfprotov5.PlanResourceChangeResponse, error) {
	return &tfprotov5.PlanResourceChangeResponse{
		Diagnostics: refuse("It cannot plan: write mock_provider \"google\" {} into the test."),
	}, nil
}

func (s server) ReadDataSource(
	context.Context, *tfprotov5.ReadDataSourceRequest,
) (*tfprotov5.ReadDataSourceResponse, error) {
	return &tfprotov5.ReadDataSourceResponse{
		Diagnostics: refuse("It cannot read: write mock_provider \"google\" {} into the test."),
	}, nil
}
