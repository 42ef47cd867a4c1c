package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/jsii-runtime-go"
)

// addEndpoints makes the doors through which functions inside a VPC reach the services of
// AWS without the internet, if they are not there already. Lambda's logs need none.
func (s *stack) addEndpoints() {
	if !s.choices.CreateEndpoints {
		return
	}
	for _, service := range []string{"dynamodb", "s3"} {
		awsec2.NewCfnVPCEndpoint(s.root, jsii.String(title(service)+"Endpoint"), &awsec2.CfnVPCEndpointProps{
			VpcId: jsii.String(s.choices.VPC), VpcEndpointType: jsii.String("Gateway"), ServiceName: s.service(service),
			RouteTableIds: anys(s.choices.RouteTables),
		})
	}
	inside := append(append(append([]string{}, s.choices.QueryGroups...), s.choices.SenderGroups...), s.choices.SyncGroups...)
	group := awsec2.NewCfnSecurityGroup(s.root, jsii.String("EndpointsGroup"), &awsec2.CfnSecurityGroupProps{
		GroupDescription: jsii.String("SQL Sentinel: its functions may ask the endpoints of AWS"), VpcId: jsii.String(s.choices.VPC),
		SecurityGroupIngress: ingress(inside),
	})
	services := []string{"sqs", "ssm"}
	if len(s.choices.SyncGroups) > 0 {
		services = append(services, "scheduler")
	}
	for _, service := range services {
		awsec2.NewCfnVPCEndpoint(s.root, jsii.String(title(service)+"Endpoint"), &awsec2.CfnVPCEndpointProps{
			VpcId: jsii.String(s.choices.VPC), VpcEndpointType: jsii.String("Interface"), ServiceName: s.service(service), PrivateDnsEnabled: jsii.Bool(true),
			SubnetIds: anys(s.choices.Subnets), SecurityGroupIds: &[]any{group.AttrGroupId()},
		})
	}
}

func (s *stack) service(name string) *string {
	return jsii.String("com.amazonaws." + *s.root.Region() + "." + name)
}

// ingress lets security groups ask over HTTPS.
func ingress(groups []string) *[]any {
	var out []any
	for _, group := range groups {
		out = append(out, &awsec2.CfnSecurityGroup_IngressProperty{
			IpProtocol: jsii.String("tcp"), FromPort: jsii.Number(443), ToPort: jsii.Number(443),
			SourceSecurityGroupId: jsii.String(group), Description: jsii.String("functions of SQL Sentinel"),
		})
	}
	return &out
}

func anys(texts []string) *[]any {
	var out []any
	for _, t := range texts {
		out = append(out, t)
	}
	return &out
}
